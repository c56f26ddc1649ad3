// Catalogs and their schemas (control-plane 4.1); the rules are in control/registry_rules.h.
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

// --- Catalogs ---

awaitable<Response> list_catalogs(Services& s, Request request, Caller) {
  const int size = page_size(request, kMaxPage);
  const std::string after = page_start(request);
  auto rows = co_await s.thread.run([&] { return s.models.catalogs(after, size + 1); });
  co_return answer(page(
      std::move(rows), size, "catalogs",
      [&](const Catalog& c) { return catalog_json(c, s.workspace_id); },
      [](const Catalog& c) { return c.name; }));
}

awaitable<Response> create_catalog(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  Catalog c;
  c.name = parse_component(require_string(body, "name"), "name");
  c.comment = get_string(body, "comment").value_or("");
  c.owner = caller.principal->name;
  born(c, caller);
  co_await s.thread.run([&] { naming_conflicts("Catalog", c.name, [&] { s.models.add(c); }); });
  co_return answer(catalog_json(c, s.workspace_id));
}

awaitable<Response> get_catalog(Services& s, Request request, Caller) {
  const std::string name = parse_component(param(request, "name"), "name");
  Catalog c = co_await s.thread.run([&] { return need_catalog(s, name); });
  co_return answer(catalog_json(c, s.workspace_id));
}

awaitable<Response> patch_catalog(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string name = parse_component(param(request, "name"), "name");
  Catalog c = co_await s.thread.run([&] {
    Catalog found = need_catalog(s, name);
    require_owner(caller, found.owner, name, name);
    patch_common(found, body);
    touched(found, caller);
    naming_conflicts("Catalog", found.name, [&] { s.models.update(name, found); });
    return found;
  });
  co_return answer(catalog_json(c, s.workspace_id));
}

awaitable<Response> delete_catalog(Services& s, Request request, Caller caller) {
  const std::string name = parse_component(param(request, "name"), "name");
  co_await s.thread.run([&] {
    require_owner(caller, need_catalog(s, name).owner, name, name);
    if (!forced(request) && !s.models.schemas(name, "", 1).empty()) {
      throw Error(ErrorKind::kInvalidState,
                  "Catalog '" + name + "' is not empty. Delete its schemas or send force=true.");
    }
    s.models.remove_catalog(name);
  });
  co_return answer({});
}

// --- Schemas ---

std::pair<std::string, std::string> schema_name(const Request& request) {
  const std::string& full = param(request, "full_name");
  const auto parts = split(full, '.');
  if (parts.size() != 2) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "full_name: received " + quote_for_message(full) + ", want catalog.schema.",
                "full_name");
  }
  return {parse_component(parts[0], "full_name"), parse_component(parts[1], "full_name")};
}

awaitable<Response> list_schemas(Services& s, Request request, Caller) {
  const auto catalog = request.query_value("catalog_name");
  if (!catalog) throw_missing("catalog_name");
  const std::string name = parse_component(*catalog, "catalog_name");
  const int size = page_size(request, kMaxPage);
  const std::string after = page_start(request);
  auto rows = co_await s.thread.run([&] {
    need_catalog(s, name);
    return s.models.schemas(name, after, size + 1);
  });
  co_return answer(page(
      std::move(rows), size, "schemas",
      [&](const Schema& row) { return schema_json(row, s.workspace_id); },
      [](const Schema& row) { return row.name; }));
}

awaitable<Response> create_schema(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  Schema schema;
  schema.name = parse_component(require_string(body, "name"), "name");
  schema.catalog_name = parse_component(require_string(body, "catalog_name"), "catalog_name");
  schema.comment = get_string(body, "comment").value_or("");
  schema.owner = caller.principal->name;
  born(schema, caller);
  co_await s.thread.run([&] {
    const Catalog parent = need_catalog(s, schema.catalog_name);
    require_owner(caller, parent.owner, parent.name, parent.name);
    naming_conflicts("Schema", schema.full_name(), [&] { s.models.add(schema); });
  });
  co_return answer(schema_json(schema, s.workspace_id));
}

awaitable<Response> get_schema(Services& s, Request request, Caller) {
  const auto name = schema_name(request);
  Schema schema = co_await s.thread.run([&] { return need_schema(s, name.first, name.second); });
  co_return answer(schema_json(schema, s.workspace_id));
}

awaitable<Response> patch_schema(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const auto name = schema_name(request);
  Schema schema = co_await s.thread.run([&] {
    Schema found = need_schema(s, name.first, name.second);
    require_owner(caller, found.owner, name.first, found.full_name());
    patch_common(found, body);
    touched(found, caller);
    naming_conflicts("Schema", found.full_name(), [&] { s.models.update(name.second, found); });
    return found;
  });
  co_return answer(schema_json(schema, s.workspace_id));
}

awaitable<Response> delete_schema(Services& s, Request request, Caller caller) {
  const auto name = schema_name(request);
  co_await s.thread.run([&] {
    const Schema found = need_schema(s, name.first, name.second);
    require_owner(caller, found.owner, name.first, found.full_name());
    if (!forced(request) && !s.models.models(name.first, name.second, "", 1).empty()) {
      throw Error(ErrorKind::kInvalidState, "Schema '" + found.full_name() +
                                                "' is not empty. Delete its models or send "
                                                "force=true.");
    }
    s.models.remove_schema(name.first, name.second);
  });
  co_return answer({});
}

}  // namespace

void mount_catalogs(ApiRoutes& routes, Services& s) {
  const std::string catalogs = kRegistryBase + "/catalogs";
  routes.add("GET", catalogs, with(s, list_catalogs));
  routes.add("POST", catalogs, with(s, create_catalog));
  routes.add("GET", catalogs + "/{name}", with(s, get_catalog));
  routes.add("PATCH", catalogs + "/{name}", with(s, patch_catalog));
  routes.add("DELETE", catalogs + "/{name}", with(s, delete_catalog));
  const std::string schemas = kRegistryBase + "/schemas";
  routes.add("GET", schemas, with(s, list_schemas));
  routes.add("POST", schemas, with(s, create_schema));
  routes.add("GET", schemas + "/{full_name}", with(s, get_schema));
  routes.add("PATCH", schemas + "/{full_name}", with(s, patch_schema));
  routes.add("DELETE", schemas + "/{full_name}", with(s, delete_schema));
}

}  // namespace tessera::control
