// The model registry (control-plane 4.1, 4.3): catalogs, schemas, models, versions, aliases.
//
// Everybody may read. Owners and admins may change what they own. Versions point at files of this
// machine, so only admins may add them. The catalog `system` is read-only, except that admins may
// add versions to its models: that is how a preconfigured endpoint gets its weights.
#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "control/rollout.h"
#include "control/services.h"

namespace tessera::control {
namespace {

using namespace catalog;
using asio::awaitable;
using http::Request;
using http::Response;

constexpr int kPage = 1'000, kVersionPage = 100;
const std::string kBase = "/api/2.1/unity-catalog";

// --- Shapes ---

void put(json::object& o, std::string_view key, const std::string& value) {
  if (!value.empty()) o[key] = value;
}

// What all four kinds of object end with.
template <class T>
void put_history(json::object& o, const T& object, const std::string& metastore_id) {
  put(o, "id", object.id);
  o["metastore_id"] = metastore_id;
  o["created_at"] = object.created_at_ms;
  put(o, "created_by", object.created_by);
  o["updated_at"] = object.updated_at_ms;
  put(o, "updated_by", object.updated_by);
}

std::string_view catalog_type(std::string_view catalog) {
  return catalog == "system" ? "SYSTEM_CATALOG" : "MANAGED_CATALOG";
}

json::object catalog_json(const Catalog& c, const Services& s) {
  json::object o{{"name", c.name}, {"full_name", c.name}};
  put(o, "comment", c.comment);
  put(o, "owner", c.owner);
  o["catalog_type"] = catalog_type(c.name);
  o["isolation_mode"] = "OPEN";
  o["securable_type"] = "CATALOG";
  o["browse_only"] = false;
  put_history(o, c, s.workspace_id);
  return o;
}

json::object schema_json(const Schema& schema, const Services& s) {
  json::object o{{"name", schema.name},
                 {"catalog_name", schema.catalog_name},
                 {"full_name", schema.full_name()}};
  put(o, "comment", schema.comment);
  put(o, "owner", schema.owner);
  put(o, "schema_id", schema.id);
  o["catalog_type"] = catalog_type(schema.catalog_name);
  o["browse_only"] = false;
  put_history(o, schema, s.workspace_id);
  return o;
}

json::object alias_json(const RegisteredModel& m, const ModelAlias& alias) {
  return {{"alias_name", alias.alias_name},
          {"version_num", alias.version_num},
          {"catalog_name", m.catalog_name},
          {"schema_name", m.schema_name},
          {"model_name", m.name}};
}

json::object license_json(const ModelNotes& notes) {
  json::object license{{"name", notes.license_name}};
  put(license, "holder", notes.license_holder);
  put(license, "terms_url", notes.terms_url);
  put(license, "use_policy_url", notes.use_policy_url);
  put(license, "notice", notes.license_notice);
  return license;
}

json::object model_json(const RegisteredModel& m, const Services& s, bool with_aliases) {
  json::object o{{"name", m.name},
                 {"catalog_name", m.catalog_name},
                 {"schema_name", m.schema_name},
                 {"full_name", m.full_name()}};
  put(o, "comment", m.comment);
  put(o, "owner", m.owner);
  put(o, "storage_location", m.storage_location);
  o["browse_only"] = false;
  put(o, "display_name", m.notes.display_name);
  if (!m.notes.notes.empty()) o["notes"] = json::array(m.notes.notes.begin(), m.notes.notes.end());
  if (!m.notes.license_name.empty()) o["license"] = license_json(m.notes);
  if (with_aliases) {
    json::array aliases;
    for (const ModelAlias& alias : m.aliases) aliases.push_back(alias_json(m, alias));
    o["aliases"] = std::move(aliases);
  }
  put_history(o, m, s.workspace_id);
  return o;
}

json::object version_json(const ModelVersion& v, const Services& s,
                          const RegisteredModel* aliases_of = nullptr) {
  json::object o{{"model_name", v.model_name},   {"catalog_name", v.catalog_name},
                 {"schema_name", v.schema_name}, {"version", v.version},
                 {"source", v.source},           {"storage_location", v.storage_location},
                 {"status", to_string(v.status)}};
  put(o, "run_id", v.run_id);
  put(o, "comment", v.comment);
  if (aliases_of) {
    json::array aliases;
    for (const ModelAlias& alias : aliases_of->aliases) {
      if (alias.version_num == v.version) aliases.push_back(alias_json(*aliases_of, alias));
    }
    o["aliases"] = std::move(aliases);
  }
  put_history(o, v, s.workspace_id);
  return o;
}

// --- Rules ---

[[noreturn]] void missing(std::string_view what, std::string_view name) {
  throw Error(ErrorKind::kResourceDoesNotExist,
              std::string(what) + " " + quote_for_message(name) + " does not exist.");
}

void require_owner(const Caller& caller, std::string_view owner, std::string_view catalog,
                   std::string_view full_name) {
  if (catalog == "system") {
    throw Error(ErrorKind::kPermissionDenied, "The catalog 'system' is read-only.");
  }
  if (caller.principal->is_admin() || caller.principal->name == owner) return;
  throw Error(ErrorKind::kPermissionDenied,
              "Only the owner of '" + std::string(full_name) + "' and admins may change it.");
}

int page_size(const Request& request, int default_size) {
  const auto text = request.query_value("max_results");
  if (!text) return default_size;
  const auto value = parse_int(*text);
  if (!value || *value < 0) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "max_results: received " + quote_for_message(*text) + ", want 0 or more.",
                "max_results");
  }
  return *value == 0 ? default_size : static_cast<int>(std::min<std::int64_t>(*value, kPage));
}

// Tokens are the last name of the page in base64url, so that nobody builds on them.
std::string page_start(const Request& request) {
  const auto token = request.query_value("page_token");
  if (!token || token->empty()) return {};
  const auto decoded = base64_decode(*token);
  if (!decoded) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "page_token: " + quote_for_message(*token) + " was not issued by this server.",
                "page_token");
  }
  return *decoded;
}

// `rows` holds up to one more than the page.
template <class T, class Write, class Key>
json::object page(std::vector<T> rows, int size, std::string_view field, Write write, Key key) {
  json::object o;
  std::string next;
  if (rows.size() > static_cast<std::size_t>(size)) {
    rows.resize(size);
    next = base64url_encode(key(rows.back()));
  }
  json::array list;
  for (const T& row : rows) list.push_back(write(row));
  o[field] = std::move(list);
  if (!next.empty()) o["next_page_token"] = next;
  return o;
}

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

FullName model_name(const Request& request) {
  return parse_full_name(param(request, "full_name"), "full_name");
}

std::int64_t version_number(const Request& request) {
  const std::string& text = param(request, "version");
  const auto number = parse_int(text);
  if (!number || *number < 1) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "version: received " + quote_for_message(text) + ", want a number from 1.",
                "version");
  }
  return *number;
}

template <class T>
void born(T& object, const Caller& caller) {
  object.id = uuid_v4();
  object.created_at_ms = object.updated_at_ms = now_ms();
  object.created_by = object.updated_by = caller.principal->name;
}

template <class T>
void touched(T& object, const Caller& caller) {
  object.updated_at_ms = now_ms();
  object.updated_by = caller.principal->name;
}

template <class T>
void patch_common(T& object, const json::object& body) {
  if (auto name = get_string(body, "new_name")) object.name = parse_component(*name, "new_name");
  if (auto comment = get_string(body, "comment")) object.comment = *comment;
  if (auto owner = get_string(body, "owner")) object.owner = *owner;
}

// Catalogue objects answer a taken name with 400 (7.2); the code is what clients look at.
template <class F>
auto naming_conflicts(std::string_view what, const std::string& name, F act) {
  try {
    return act();
  } catch (Error& error) {
    if (error.kind == ErrorKind::kResourceAlreadyExists) {
      error.message = std::string(what) + " '" + name + "' already exists.";
    }
    throw;
  }
}

Catalog need_catalog(Services& s, const std::string& name) {
  auto found = s.models.catalog(name);
  if (!found) missing("Catalog", name);
  return *found;
}

Schema need_schema(Services& s, const std::string& catalog, const std::string& name) {
  auto found = s.models.schema(catalog, name);
  if (!found) missing("Schema", catalog + "." + name);
  return *found;
}

RegisteredModel need_model(Services& s, const FullName& name) {
  auto found = s.models.model(name);
  if (!found) {
    missing("Registered model", name.catalog + "." + name.schema + "." + name.model);
  }
  return *found;
}

ModelVersion need_version(Services& s, const FullName& name, std::int64_t number) {
  need_model(s, name);
  auto found = s.models.version(name, number);
  if (!found) missing("Model version", std::to_string(number));
  return *found;
}

bool forced(const Request& request) { return request.query_value("force") == "true"; }

// --- Catalogs ---

awaitable<Response> list_catalogs(Services& s, Request request, Caller) {
  const int size = page_size(request, kPage);
  const std::string after = page_start(request);
  auto rows = co_await s.thread.run([&] { return s.models.catalogs(after, size + 1); });
  co_return answer(page(
      std::move(rows), size, "catalogs", [&](const Catalog& c) { return catalog_json(c, s); },
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
  co_return answer(catalog_json(c, s));
}

awaitable<Response> get_catalog(Services& s, Request request, Caller) {
  const std::string name = parse_component(param(request, "name"), "name");
  Catalog c = co_await s.thread.run([&] { return need_catalog(s, name); });
  co_return answer(catalog_json(c, s));
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
  co_return answer(catalog_json(c, s));
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

awaitable<Response> list_schemas(Services& s, Request request, Caller) {
  const auto catalog = request.query_value("catalog_name");
  if (!catalog) throw_missing("catalog_name");
  const std::string name = parse_component(*catalog, "catalog_name");
  const int size = page_size(request, kPage);
  const std::string after = page_start(request);
  auto rows = co_await s.thread.run([&] {
    need_catalog(s, name);
    return s.models.schemas(name, after, size + 1);
  });
  co_return answer(page(
      std::move(rows), size, "schemas", [&](const Schema& row) { return schema_json(row, s); },
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
  co_return answer(schema_json(schema, s));
}

awaitable<Response> get_schema(Services& s, Request request, Caller) {
  const auto name = schema_name(request);
  Schema schema = co_await s.thread.run([&] { return need_schema(s, name.first, name.second); });
  co_return answer(schema_json(schema, s));
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
  co_return answer(schema_json(schema, s));
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

// --- Registered models ---

awaitable<Response> list_models(Services& s, Request request, Caller) {
  std::string catalog(request.query_value("catalog_name").value_or(""));
  std::string schema(request.query_value("schema_name").value_or(""));
  if (catalog.empty() != schema.empty()) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "catalog_name and schema_name: want both or neither.", "schema_name");
  }
  const int size = page_size(request, kPage);
  const std::string after = page_start(request);
  auto rows = co_await s.thread.run(
      [&] { return s.models.models(to_lower(catalog), to_lower(schema), after, size + 1); });
  co_return answer(page(
      std::move(rows), size, "registered_models",
      [&](const RegisteredModel& m) { return model_json(m, s, false); },
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
  co_return answer(model_json(m, s, false));
}

awaitable<Response> get_model(Services& s, Request request, Caller) {
  const FullName name = model_name(request);
  RegisteredModel m = co_await s.thread.run([&] { return need_model(s, name); });
  co_return answer(model_json(m, s, request.query_value("include_aliases") == "true"));
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
  co_return answer(model_json(m, s, false));
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

// --- Versions ---

awaitable<Response> list_versions(Services& s, Request request, Caller) {
  const FullName name = model_name(request);
  const int size = page_size(request, kVersionPage);
  const std::string after = page_start(request);
  auto rows = co_await s.thread.run([&] {
    need_model(s, name);
    return s.models.versions(name, parse_int(after).value_or(0), size + 1);
  });
  co_return answer(page(
      std::move(rows), size, "model_versions",
      [&](const ModelVersion& v) { return version_json(v, s); },
      [](const ModelVersion& v) { return std::to_string(v.version); }));
}

awaitable<Response> create_version(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  ModelVersion v;
  v.catalog_name = parse_component(require_string(body, "catalog_name"), "catalog_name");
  v.schema_name = parse_component(require_string(body, "schema_name"), "schema_name");
  v.model_name = parse_component(require_string(body, "model_name"), "model_name");
  v.source = require_string(body, "source");
  v.storage_location = local_path_of(v.source, "source");
  v.run_id = get_string(body, "run_id").value_or("");
  v.comment = get_string(body, "comment").value_or("");
  caller.require_admin("register a version, which points at files of the server");
  born(v, caller);
  v.version = co_await s.thread.run([&] { return s.models.add(v); });
  co_return answer(version_json(v, s));
}

// Weights for a preconfigured endpoint have arrived: roll them out, unless one is under way.
void serve_preconfigured(Services& s, const ModelVersion& v) {
  const std::string full_name = v.catalog_name + "." + v.schema_name + "." + v.model_name;
  for (const auto& endpoint : s.table.all()) {
    if (!endpoint->preconfigured || !endpoint->active) continue;
    if (endpoint->active->entities.front().entity_name != full_name) continue;
    if (endpoint->config_update == ConfigUpdate::kInProgress) continue;
    s.table.change(endpoint->name, [&](Endpoint& next) {
      Rollout(s.models, s.vault, s.options).begin_preconfigured(next, v, now_ms());
    });
  }
}

awaitable<Response> finalize_version(Services& s, Request request, Caller caller) {
  const FullName name = model_name(request);
  const std::int64_t number = version_number(request);
  caller.require_admin("finalize a version");
  ModelVersion v = co_await s.thread.run([&] {
    ModelVersion found = need_version(s, name, number);
    if (found.status != VersionStatus::kPendingRegistration) {
      throw Error(ErrorKind::kInvalidState, "Version " + std::to_string(number) + " has status " +
                                                std::string(to_string(found.status)) +
                                                ", want PENDING_REGISTRATION.");
    }
    std::error_code error;
    const bool there = std::filesystem::exists(found.storage_location, error);
    found.status = there ? VersionStatus::kReady : VersionStatus::kFailedRegistration;
    touched(found, caller);
    s.models.update(found);
    if (there) serve_preconfigured(s, found);
    return found;
  });
  co_return answer(version_json(v, s));
}

awaitable<Response> get_version(Services& s, Request request, Caller) {
  const FullName name = model_name(request);
  const std::int64_t number = version_number(request);
  json::object o = co_await s.thread.run([&] {
    const RegisteredModel model = need_model(s, name);
    const bool aliases = request.query_value("include_aliases") == "true";
    return version_json(need_version(s, name, number), s, aliases ? &model : nullptr);
  });
  co_return answer(o);
}

awaitable<Response> patch_version(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const FullName name = model_name(request);
  const std::int64_t number = version_number(request);
  ModelVersion v = co_await s.thread.run([&] {
    ModelVersion found = need_version(s, name, number);
    const RegisteredModel model = need_model(s, name);
    require_owner(caller, model.owner, name.catalog, model.full_name());
    if (auto comment = get_string(body, "comment")) found.comment = *comment;
    touched(found, caller);
    s.models.update(found);
    return found;
  });
  co_return answer(version_json(v, s));
}

awaitable<Response> delete_version(Services& s, Request request, Caller caller) {
  const FullName name = model_name(request);
  const std::int64_t number = version_number(request);
  co_await s.thread.run([&] {
    need_version(s, name, number);
    const RegisteredModel model = need_model(s, name);
    require_owner(caller, model.owner, name.catalog, model.full_name());
    s.models.remove_version(name, number);
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
        return version_json(need_version(s, name, known.version_num), s, &model);
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
  const std::string catalogs = kBase + "/catalogs", schemas = kBase + "/schemas";
  const std::string models = kBase + "/models", model = models + "/{full_name}";
  const std::string version = model + "/versions/{version}", alias = model + "/aliases/{alias}";
  routes.add("GET", catalogs, with(s, list_catalogs));
  routes.add("POST", catalogs, with(s, create_catalog));
  routes.add("GET", catalogs + "/{name}", with(s, get_catalog));
  routes.add("PATCH", catalogs + "/{name}", with(s, patch_catalog));
  routes.add("DELETE", catalogs + "/{name}", with(s, delete_catalog));
  routes.add("GET", schemas, with(s, list_schemas));
  routes.add("POST", schemas, with(s, create_schema));
  routes.add("GET", schemas + "/{full_name}", with(s, get_schema));
  routes.add("PATCH", schemas + "/{full_name}", with(s, patch_schema));
  routes.add("DELETE", schemas + "/{full_name}", with(s, delete_schema));
  routes.add("GET", models, with(s, list_models));
  routes.add("POST", models, with(s, create_model));
  routes.add("POST", models + "/versions", with(s, create_version));
  routes.add("GET", model, with(s, get_model));
  routes.add("PATCH", model, with(s, patch_model));
  routes.add("DELETE", model, with(s, delete_model));
  routes.add("GET", model + "/versions", with(s, list_versions));
  routes.add("GET", version, with(s, get_version));
  routes.add("PATCH", version, with(s, patch_version));
  routes.add("DELETE", version, with(s, delete_version));
  routes.add("PATCH", version + "/finalize", with(s, finalize_version));
  routes.add("PUT", alias, with(s, put_alias));
  routes.add("GET", alias, with(s, get_alias));
  routes.add("DELETE", alias, with(s, delete_alias));
  routes.add("GET", kBase + "/metastore_summary", with(s, metastore));
}

}  // namespace tessera::control
