#include "control/external_model_json.h"

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "catalog/external_fields.h"

namespace tessera::control {
namespace {

using namespace catalog;

constexpr std::string_view kPlaintext = "_plaintext";

[[noreturn]] void invalid(const std::string& at, std::string message) {
  throw Error(ErrorKind::kInvalidParameterValue, at + ": " + std::move(message), at);
}

// A service account's key file, or its base64 (which tools break into lines).
bool is_key_file(std::string_view text) {
  text = trim(text);
  std::string decoded(text);
  if (!text.starts_with('{')) {
    std::erase_if(decoded, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
    const auto bytes = base64_decode(decoded);
    if (!bytes) return false;
    decoded = *bytes;
  }
  try {
    const json::object file = parse_json_object(decoded);
    return !require_string(file, "client_email").empty() &&
           !require_string(file, "private_key").empty();
  } catch (const Error&) {
    return false;  // without the parser's words: they may quote the key
  }
}

// Strings, numbers and booleans alike; some clients write 30 as "30".
std::string text_of(const json::value& value, const std::string& at) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_bool() || value.is_int64() || value.is_uint64()) return to_json(value);
  throw_wrong_type(at, "a string, a whole number or true/false", value);
}

class Reader {
 public:
  Reader(ExternalModel& model, const ExternalProvider& provider)
      : model_(model), provider_(provider) {}

  // `prefix` is "" or the path of a nested object, "api_key_auth.".
  void read(const json::object& object, const std::string& path, const std::string& prefix = {}) {
    for (const auto& [key, value] : object) {
      const std::string at = join_path(path, key);
      const std::string name = prefix + std::string(key);
      if (value.is_null()) continue;
      if (value.is_object() && prefix.empty()) {
        read(value.get_object(), at, name + ".");
      } else if (name.ends_with(kPlaintext)) {
        read_plaintext(name.substr(0, name.size() - kPlaintext.size()), value, at);
      } else {
        read_field(name, value, at);
      }
    }
  }

 private:
  const ExternalField& field(const std::string& name, const std::string& at) const {
    const ExternalField* found = find_external_field(provider_, name);
    if (found == nullptr) {
      invalid(at, "unknown field of the provider '" + model_.provider + "'.");
    }
    return *found;
  }

  void read_plaintext(const std::string& name, const json::value& value, const std::string& at) {
    if (field(name, at).type != FieldType::kSecret) invalid(at, "unknown field.");
    SecretField& secret = model_.secrets[name];
    if (!secret.reference.empty()) both(name, at);
    secret.value = as_string(value, at);
    if (secret.value.empty()) invalid(at, "must not be empty.");
    if (name == "private_key" && !is_key_file(secret.value)) {
      invalid(at,
              "want the service account's key file (JSON with client_email and private_key), "
              "whole or as base64.");
    }
  }

  void read_field(const std::string& name, const json::value& value, const std::string& at) {
    const ExternalField& known = field(name, at);
    if (known.type == FieldType::kSecret) {
      SecretField& secret = model_.secrets[name];
      if (!secret.value.empty()) both(name, at);
      secret.reference = as_string(value, at);
      if (!parse_secret_reference(secret.reference)) {
        // The value is not quoted: it may well be the secret itself.
        invalid(at,
                "want a reference of the form {{secrets/<scope>/<key>}}; a value itself goes to " +
                    name + std::string(kPlaintext) + ".");
      }
      return;
    }
    std::string text = text_of(value, at);
    if (known.type == FieldType::kChoice || name == "bedrock_provider") text = to_lower(text);
    model_.config[name] = std::move(text);
  }

  [[noreturn]] void both(const std::string& name, const std::string& at) const {
    invalid(at, "send " + name + " or " + name + std::string(kPlaintext) + ", not both.");
  }

  ExternalModel& model_;
  const ExternalProvider& provider_;
};

json::value typed(FieldType type, const std::string& text) {
  if (type == FieldType::kBoolean) return text == "true";
  if (type == FieldType::kInteger) {
    if (const auto number = parse_int(text)) return *number;
  }
  return json::string(text);
}

// "api_key_auth.key" goes into a nested object.
void put(json::object& object, std::string_view name, json::value value) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) {
    object[name] = std::move(value);
    return;
  }
  json::value& nested = object[name.substr(0, dot)];
  if (!nested.is_object()) nested.emplace_object();
  nested.get_object()[name.substr(dot + 1)] = std::move(value);
}

}  // namespace

ExternalModel parse_external_model(const json::object& object, std::string_view path) {
  ExternalModel model;
  model.provider = to_lower(require_string(object, "provider", path));
  model.name = require_string(object, "name", path);
  const std::string task = require_string(object, "task", path);
  const auto known_task = parse_task(task);
  if (!known_task) {
    invalid(join_path(path, "task"),
            "received " + quote_for_message(task) +
                ", want llm/v1/chat, llm/v1/completions or llm/v1/embeddings.");
  }
  model.task = *known_task;
  const ExternalProvider* provider = find_external_provider(model.provider);
  if (provider == nullptr) validate_external_model(model, path);  // throws, with the names
  for (const auto& [key, value] : object) {
    if (key == "provider" || key == "name" || key == "task" || value.is_null()) continue;
    const std::string at = join_path(path, key);
    if (key != provider->config_object) {
      invalid(at, "does not belong to the provider '" + model.provider +
                      "', whose settings are in " + std::string(provider->config_object) + ".");
    }
    Reader(model, *provider).read(as_object(value, at), at);
  }
  return model;
}

json::object external_model_json(const ExternalModel& model) {
  json::object o{
      {"provider", model.provider}, {"name", model.name}, {"task", to_string(model.task)}};
  const ExternalProvider* provider = find_external_provider(model.provider);
  if (provider == nullptr) return o;
  json::object config;
  for (const std::span<const ExternalField> fields : {provider->fields, common_external_fields()}) {
    for (const ExternalField& field : fields) {
      const std::string name(field.name);
      if (const auto found = model.secrets.find(name); found != model.secrets.end()) {
        if (!found->second.reference.empty())
          put(config, name, json::string(found->second.reference));
      } else if (const auto value = model.config.find(name); value != model.config.end()) {
        put(config, name, typed(field.type, value->second));
      }
    }
  }
  o[provider->config_object] = std::move(config);
  return o;
}

}  // namespace tessera::control
