#include "control/registry_json.h"

#include <boost/json/array.hpp>
#include <string>

namespace tessera::control {

using namespace catalog;

namespace {

void put(json::object& o, std::string_view key, const std::string& value) {
  if (!value.empty()) o[key] = value;
}

// What all four kinds of object end with.
template <class T>
void put_history(json::object& o, const T& object, std::string_view metastore_id) {
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

json::object license_json(const ModelNotes& notes) {
  json::object license{{"name", notes.license_name}};
  put(license, "holder", notes.license_holder);
  put(license, "terms_url", notes.terms_url);
  put(license, "use_policy_url", notes.use_policy_url);
  put(license, "notice", notes.license_notice);
  return license;
}

}  // namespace

json::object catalog_json(const Catalog& c, std::string_view metastore_id) {
  json::object o{{"name", c.name}, {"full_name", c.name}};
  put(o, "comment", c.comment);
  put(o, "owner", c.owner);
  o["catalog_type"] = catalog_type(c.name);
  o["isolation_mode"] = "OPEN";
  o["securable_type"] = "CATALOG";
  o["browse_only"] = false;
  put_history(o, c, metastore_id);
  return o;
}

json::object schema_json(const Schema& schema, std::string_view metastore_id) {
  json::object o{{"name", schema.name},
                 {"catalog_name", schema.catalog_name},
                 {"full_name", schema.full_name()}};
  put(o, "comment", schema.comment);
  put(o, "owner", schema.owner);
  put(o, "schema_id", schema.id);
  o["catalog_type"] = catalog_type(schema.catalog_name);
  o["browse_only"] = false;
  put_history(o, schema, metastore_id);
  return o;
}

json::object alias_json(const RegisteredModel& m, const ModelAlias& alias) {
  return {{"alias_name", alias.alias_name},
          {"version_num", alias.version_num},
          {"catalog_name", m.catalog_name},
          {"schema_name", m.schema_name},
          {"model_name", m.name}};
}

json::object model_json(const RegisteredModel& m, std::string_view metastore_id,
                        bool with_aliases) {
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
  put_history(o, m, metastore_id);
  return o;
}

json::object version_json(const ModelVersion& v, std::string_view metastore_id,
                          const RegisteredModel* aliases_of) {
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
  put_history(o, v, metastore_id);
  return o;
}

}  // namespace tessera::control
