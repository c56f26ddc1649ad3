// What may be typed into an external model: fields per provider and the models known by name. For
// forms and for people; never a gate, since unlisted names are sent as they are typed.
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "catalog/external_fields.h"
#include "catalog/known_models.h"
#include "control/services.h"

namespace tessera::control {
namespace {

using namespace catalog;
using asio::awaitable;
using http::Request;
using http::Response;

std::string_view name_of(FieldType type) {
  switch (type) {
    case FieldType::kText:
    case FieldType::kSecret:
      return "string";
    case FieldType::kUrl:
    case FieldType::kOrigin:
      return "url";
    case FieldType::kInteger:
      return "integer";
    case FieldType::kBoolean:
      return "boolean";
    case FieldType::kChoice:
      return "choice";
  }
  return "string";
}

json::object field_json(const ExternalField& field) {
  json::object o{{"name", field.name}, {"type", name_of(field.type)}};
  if (field.type == FieldType::kChoice) {
    json::array choices;
    for (const std::string_view choice : split(field.choices, '|')) {
      choices.push_back(json::string(choice));
    }
    o["choices"] = std::move(choices);
  }
  if (field.type == FieldType::kSecret) o["secret"] = true;
  return o;
}

json::array fields_json(std::span<const ExternalField> fields) {
  json::array list;
  for (const ExternalField& field : fields) list.push_back(field_json(field));
  return list;
}

// Numbers that are not known are left out.
json::object model_json(const KnownModel& model) {
  json::object o{{"provider", model.provider},    {"variant", model.variant},
                 {"task", to_string(model.task)}, {"name", model.name},
                 {"tools", model.hints.tools},    {"images", model.hints.images}};
  if (model.hints.context > 0) o["context"] = model.hints.context;
  if (model.hints.max_output > 0) o["max_output"] = model.hints.max_output;
  if (model.hints.dimensions > 0) {
    o["dimensions"] = model.hints.dimensions;
    o["reducible_dimensions"] = model.hints.reducible_dimensions;
  }
  return o;
}

std::optional<Task> task_in(const Request& request) {
  const auto text = request.query_value("task");
  if (!text) return std::nullopt;
  const auto task = parse_task(*text);
  if (!task) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "task: received " + quote_for_message(*text) +
                    ", want llm/v1/chat, llm/v1/completions or llm/v1/embeddings.",
                "task");
  }
  return task;
}

// Throws when there is no such provider.
void require_provider(std::string_view name) {
  if (find_external_provider(name) != nullptr) return;
  std::string names;
  for (const ExternalProvider& known : external_providers()) {
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  throw Error(ErrorKind::kInvalidParameterValue,
              "provider: received " + quote_for_message(name) + ", want one of " + names + ".",
              "provider");
}

awaitable<Response> list(Services&, Request request, Caller) {
  const auto provider = request.query_value("provider");
  const auto variant = request.query_value("variant");
  const auto task = task_in(request);
  if (provider) require_provider(*provider);
  json::array providers;
  for (const ExternalProvider& known : external_providers()) {
    if (provider && known.name != *provider) continue;
    providers.push_back(json::object{{"name", known.name},
                                     {"config_object", known.config_object},
                                     {"fields", fields_json(known.fields)}});
  }
  json::array models;
  for (const KnownModel& model : known_models()) {
    if (provider && model.provider != *provider) continue;
    if (variant && model.variant != *variant) continue;
    if (task && model.task != *task) continue;
    models.push_back(model_json(model));
  }
  co_return answer({{"providers", std::move(providers)},
                    {"common_fields", fields_json(common_external_fields())},
                    {"models", std::move(models)}});
}

}  // namespace

void mount_external_models_api(ApiRoutes& routes, Services& s) {
  routes.add("GET", "/api/2.0/tessera/external-models", with(s, list));
}

}  // namespace tessera::control
