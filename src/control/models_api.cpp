// Registered models and their aliases (control-plane 4.1, 4.3), and with them the whole registry;
// the rules are in control/registry_rules.h.
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "control/paging.h"
#include "control/registry_json.h"
#include "control/registry_rules.h"

namespace tessera::control {
namespace {

using namespace catalog;
using asio::awaitable;
using http::Request;
using http::Response;

// --- Models ---

awaitable<Response> list_models(Services& s, Request request, Caller) {
  std::string catalog(request.query_value("catalog_name").value_or(""));
  std::string schema(request.query_value("schema_name").value_or(""));
  if (catalog.empty() != schema.empty()) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "catalog_name and schema_name: want both or neither.", "schema_name");
  }
  const int size = page_size(request, kMaxPage);
  const std::string after = page_start(request);
  auto rows = co_await s.thread.run(
      [&] { return s.models.models(to_lower(catalog), to_lower(schema), after, size + 1); });
  co_return answer(page(
      std::move(rows), size, "registered_models",
      [&](const RegisteredModel& m) { return model_json(m, s.workspace_id, false); },
      [](const RegisteredModel& m) { return m.full_name(); }));
}

awaitable<Response> create_model(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  RegisteredModel m;
  m.name = parse_component(require_string(body, "name"), "name");
  m.catalog_name = parse_component(require_string(body, "catalog_name"), "catalog_name");
  m.schema_name = parse_component(require_string(body, "schema_name"), "schema_name");
  m.comment = get_string(body, "comment").value_or("");
  m.storage_location = get_string(body, "storage_location").value_or("");
  m.owner = caller.principal->name;
  born(m, caller);
  co_await s.thread.run([&] {
    const Schema parent = need_schema(s, m.catalog_name, m.schema_name);
    require_owner(caller, parent.owner, m.catalog_name, parent.full_name());
    naming_conflicts("Registered model", m.full_name(), [&] { s.models.add(m); });
  });
  co_return answer(model_json(m, s.workspace_id, false));
}

awaitable<Response> get_model(Services& s, Request request, Caller) {
  const FullName name = model_name(request);
  RegisteredModel m = co_await s.thread.run([&] { return need_model(s, name); });
  co_return answer(model_json(m, s.workspace_id, request.query_value("include_aliases") == "true"));
}

awaitable<Response> patch_model(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const FullName name = model_name(request);
  RegisteredModel m = co_await s.thread.run([&] {
    RegisteredModel found = need_model(s, name);
    require_owner(caller, found.owner, name.catalog, found.full_name());
    patch_common(found, body);
    touched(found, caller);
    naming_conflicts("Registered model", found.full_name(), [&] { s.models.update(name, found); });
    return found;
  });
  co_return answer(model_json(m, s.workspace_id, false));
}

awaitable<Response> delete_model(Services& s, Request request, Caller caller) {
  const FullName name = model_name(request);
  co_await s.thread.run([&] {
    const RegisteredModel found = need_model(s, name);
    require_owner(caller, found.owner, name.catalog, found.full_name());
    s.models.remove_model(name);
  });
  co_return answer({});
}

// --- Aliases ---

awaitable<Response> put_alias(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const FullName name = model_name(request);
  ModelAlias alias;
  alias.alias_name = parse_component(param(request, "alias"), "alias");
  const auto number = get_int_or_digits(body, "version_num");
  if (!number) throw_missing("version_num");
  alias.version_num = *number;
  json::object o = co_await s.thread.run([&] {
    const RegisteredModel model = need_model(s, name);
    require_owner(caller, model.owner, name.catalog, model.full_name());
    need_version(s, name, alias.version_num);
    s.models.set_alias(name, alias);
    return alias_json(model, alias);
  });
  co_return answer(o);
}

awaitable<Response> get_alias(Services& s, Request request, Caller) {
  const FullName name = model_name(request);
  const std::string alias = parse_component(param(request, "alias"), "alias");
  json::object o = co_await s.thread.run([&] {
    const RegisteredModel model = need_model(s, name);
    for (const ModelAlias& known : model.aliases) {
      if (known.alias_name == alias) {
        return version_json(need_version(s, name, known.version_num), s.workspace_id, &model);
      }
    }
    missing("Alias", alias);
  });
  co_return answer(o);
}

awaitable<Response> delete_alias(Services& s, Request request, Caller caller) {
  const FullName name = model_name(request);
  const std::string alias = parse_component(param(request, "alias"), "alias");
  co_await s.thread.run([&] {
    const RegisteredModel model = need_model(s, name);
    require_owner(caller, model.owner, name.catalog, model.full_name());
    if (!s.models.remove_alias(name, alias)) missing("Alias", alias);
  });
  co_return answer({});
}

awaitable<Response> metastore(Services& s, Request, Caller) {
  co_return answer({{"metastore_id", s.workspace_id}, {"name", "tessera"}});
}

}  // namespace

void mount_models_api(ApiRoutes& routes, Services& s) {
  mount_catalogs(routes, s);
  mount_model_versions(routes, s);
  const std::string models = kRegistryBase + "/models", model = models + "/{full_name}";
  const std::string alias = model + "/aliases/{alias}";
  routes.add("GET", models, with(s, list_models));
  routes.add("POST", models, with(s, create_model));
  routes.add("GET", model, with(s, get_model));
  routes.add("PATCH", model, with(s, patch_model));
  routes.add("DELETE", model, with(s, delete_model));
  routes.add("PUT", alias, with(s, put_alias));
  routes.add("GET", alias, with(s, get_alias));
  routes.add("DELETE", alias, with(s, delete_alias));
  routes.add("GET", kRegistryBase + "/metastore_summary", with(s, metastore));
}

}  // namespace tessera::control
