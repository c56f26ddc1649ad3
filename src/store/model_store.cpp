#include "store/model_store.h"

#include "base/error.h"
#include "base/json.h"

namespace tessera::store {
namespace {

using namespace catalog;

#define CATALOG_COLUMNS "name, id, comment, owner, created_at, created_by, updated_at, updated_by"
#define SCHEMA_COLUMNS \
  "catalog_name, name, id, comment, owner, created_at, created_by, updated_at, updated_by"
#define MODEL_COLUMNS                                                                   \
  "catalog_name, schema_name, name, id, comment, owner, storage_location, created_at, " \
  "created_by, updated_at, updated_by, notes"
#define VERSION_COLUMNS                                                                    \
  "catalog_name, schema_name, model_name, version, id, source, storage_location, status, " \
  "run_id, comment, created_at, created_by, updated_at, updated_by"

Catalog read_catalog(const Statement& row) {
  Catalog c;
  c.name = row.text(0);
  c.id = row.text(1);
  c.comment = row.text(2);
  c.owner = row.text(3);
  c.created_at_ms = row.integer(4);
  c.created_by = row.text(5);
  c.updated_at_ms = row.integer(6);
  c.updated_by = row.text(7);
  return c;
}

Schema read_schema(const Statement& row) {
  Schema s;
  s.catalog_name = row.text(0);
  s.name = row.text(1);
  s.id = row.text(2);
  s.comment = row.text(3);
  s.owner = row.text(4);
  s.created_at_ms = row.integer(5);
  s.created_by = row.text(6);
  s.updated_at_ms = row.integer(7);
  s.updated_by = row.text(8);
  return s;
}

std::string write_notes(const ModelNotes& notes) {
  return to_json(json::object{{"display_name", notes.display_name},
                              {"notes", json::array(notes.notes.begin(), notes.notes.end())},
                              {"license_name", notes.license_name},
                              {"license_holder", notes.license_holder},
                              {"license_notice", notes.license_notice},
                              {"terms_url", notes.terms_url},
                              {"use_policy_url", notes.use_policy_url}});
}

ModelNotes read_notes(const std::string& document) {
  const json::object o = parse_json_object(document);
  auto text = [&o](std::string_view field) { return get_string(o, field).value_or(""); };
  ModelNotes notes{text("display_name"),   {},
                   text("license_name"),   text("license_holder"),
                   text("license_notice"), text("terms_url"),
                   text("use_policy_url")};
  if (const json::array* list = get_array(o, "notes")) {
    for (const auto& note : *list) notes.notes.emplace_back(as_string(note, "notes"));
  }
  return notes;
}

RegisteredModel read_model(const Statement& row) {
  RegisteredModel m;
  m.catalog_name = row.text(0);
  m.schema_name = row.text(1);
  m.name = row.text(2);
  m.id = row.text(3);
  m.comment = row.text(4);
  m.owner = row.text(5);
  m.storage_location = row.text(6);
  m.created_at_ms = row.integer(7);
  m.created_by = row.text(8);
  m.updated_at_ms = row.integer(9);
  m.updated_by = row.text(10);
  m.notes = read_notes(row.text(11));
  return m;
}

ModelVersion read_version(const Statement& row) {
  ModelVersion v;
  v.catalog_name = row.text(0);
  v.schema_name = row.text(1);
  v.model_name = row.text(2);
  v.version = row.integer(3);
  v.id = row.text(4);
  v.source = row.text(5);
  v.storage_location = row.text(6);
  v.status = parse_version_status(row.text(7)).value_or(VersionStatus::kUnknown);
  v.run_id = row.text(8);
  v.comment = row.text(9);
  v.created_at_ms = row.integer(10);
  v.created_by = row.text(11);
  v.updated_at_ms = row.integer(12);
  v.updated_by = row.text(13);
  return v;
}

std::vector<ModelAlias> read_aliases(Connection& connection, const RegisteredModel& model) {
  std::vector<ModelAlias> aliases;
  auto query = connection.prepare(
      "SELECT alias_name, version FROM model_aliases WHERE catalog_name = $1 AND schema_name = $2 "
      "AND model_name = $3 ORDER BY alias_name");
  query.bind(model.catalog_name, model.schema_name, model.name);
  while (query.step()) aliases.push_back({query.text(0), query.integer(1)});
  return aliases;
}

}  // namespace

std::vector<Catalog> ModelStore::catalogs(std::string_view after, int limit) {
  Database::Session session(database_);
  auto query = session->prepare("SELECT " CATALOG_COLUMNS
                                " FROM catalogs WHERE name > $1 ORDER BY name LIMIT $2");
  query.bind(after, limit);
  std::vector<Catalog> result;
  while (query.step()) result.push_back(read_catalog(query));
  return result;
}

std::optional<Catalog> ModelStore::catalog(std::string_view name) {
  Database::Session session(database_);
  auto query = session->prepare("SELECT " CATALOG_COLUMNS " FROM catalogs WHERE name = $1");
  if (!query.bind(name).step()) return std::nullopt;
  return read_catalog(query);
}

void ModelStore::add(const Catalog& c) {
  Database::Session session(database_);
  session
      ->prepare("INSERT INTO catalogs (" CATALOG_COLUMNS
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
      .bind(c.name, c.id, c.comment, c.owner, c.created_at_ms, c.created_by, c.updated_at_ms,
            c.updated_by)
      .run();
}

void ModelStore::update(std::string_view name, const Catalog& c) {
  Database::Session session(database_);
  session
      ->prepare(
          "UPDATE catalogs SET name = $1, comment = $2, owner = $3, updated_at = $4, "
          "updated_by = $5 WHERE name = $6")
      .bind(c.name, c.comment, c.owner, c.updated_at_ms, c.updated_by, name)
      .run();
}

void ModelStore::remove_catalog(std::string_view name) {
  Database::Session session(database_);
  session->prepare("DELETE FROM catalogs WHERE name = $1").bind(name).run();
}

std::vector<Schema> ModelStore::schemas(std::string_view catalog_name, std::string_view after,
                                        int limit) {
  Database::Session session(database_);
  auto query = session->prepare("SELECT " SCHEMA_COLUMNS
                                " FROM schemas WHERE catalog_name = $1 AND name > $2 "
                                "ORDER BY name LIMIT $3");
  query.bind(catalog_name, after, limit);
  std::vector<Schema> result;
  while (query.step()) result.push_back(read_schema(query));
  return result;
}

std::optional<Schema> ModelStore::schema(std::string_view catalog_name, std::string_view name) {
  Database::Session session(database_);
  auto query = session->prepare("SELECT " SCHEMA_COLUMNS
                                " FROM schemas WHERE catalog_name = $1 AND name = $2");
  if (!query.bind(catalog_name, name).step()) return std::nullopt;
  return read_schema(query);
}

void ModelStore::add(const Schema& s) {
  Database::Session session(database_);
  session
      ->prepare("INSERT INTO schemas (" SCHEMA_COLUMNS
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
      .bind(s.catalog_name, s.name, s.id, s.comment, s.owner, s.created_at_ms, s.created_by,
            s.updated_at_ms, s.updated_by)
      .run();
}

void ModelStore::update(std::string_view name, const Schema& s) {
  Database::Session session(database_);
  session
      ->prepare(
          "UPDATE schemas SET name = $1, comment = $2, owner = $3, updated_at = $4, "
          "updated_by = $5 WHERE catalog_name = $6 AND name = $7")
      .bind(s.name, s.comment, s.owner, s.updated_at_ms, s.updated_by, s.catalog_name, name)
      .run();
}

void ModelStore::remove_schema(std::string_view catalog_name, std::string_view name) {
  Database::Session session(database_);
  session->prepare("DELETE FROM schemas WHERE catalog_name = $1 AND name = $2")
      .bind(catalog_name, name)
      .run();
}

std::vector<RegisteredModel> ModelStore::models(std::string_view catalog_name,
                                                std::string_view schema_name,
                                                std::string_view after, int limit) {
  Database::Session session(database_);
  auto query = session->prepare(
      "SELECT " MODEL_COLUMNS
      " FROM registered_models WHERE ($1 = '' OR catalog_name = $1) AND "
      "($2 = '' OR schema_name = $2) AND catalog_name || '.' || schema_name || '.' || name > $3 "
      "ORDER BY catalog_name || '.' || schema_name || '.' || name LIMIT $4");
  query.bind(catalog_name, schema_name, after, limit);
  std::vector<RegisteredModel> result;
  while (query.step()) result.push_back(read_model(query));
  for (RegisteredModel& model : result) model.aliases = read_aliases(*session.operator->(), model);
  return result;
}

std::optional<RegisteredModel> ModelStore::model(const FullName& name) {
  Database::Session session(database_);
  auto query = session->prepare(
      "SELECT " MODEL_COLUMNS
      " FROM registered_models WHERE catalog_name = $1 AND schema_name = $2 AND name = $3");
  if (!query.bind(name.catalog, name.schema, name.model).step()) return std::nullopt;
  RegisteredModel model = read_model(query);
  model.aliases = read_aliases(*session.operator->(), model);
  return model;
}

void ModelStore::add(const RegisteredModel& m) {
  Database::Session session(database_);
  session
      ->prepare("INSERT INTO registered_models (" MODEL_COLUMNS
                ", next_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1)")
      .bind(m.catalog_name, m.schema_name, m.name, m.id, m.comment, m.owner, m.storage_location,
            m.created_at_ms, m.created_by, m.updated_at_ms, m.updated_by, write_notes(m.notes))
      .run();
}

void ModelStore::update(const FullName& name, const RegisteredModel& m) {
  Database::Session session(database_);
  session
      ->prepare(
          "UPDATE registered_models SET name = $1, comment = $2, owner = $3, updated_at = $4, "
          "updated_by = $5, notes = $6 WHERE catalog_name = $7 AND schema_name = $8 AND name = $9")
      .bind(m.name, m.comment, m.owner, m.updated_at_ms, m.updated_by, write_notes(m.notes),
            name.catalog, name.schema, name.model)
      .run();
}

void ModelStore::remove_model(const FullName& name) {
  Database::Session session(database_);
  session
      ->prepare(
          "DELETE FROM registered_models WHERE catalog_name = $1 AND schema_name = $2 AND name = "
          "$3")
      .bind(name.catalog, name.schema, name.model)
      .run();
}

std::vector<ModelVersion> ModelStore::versions(const FullName& name, std::int64_t after,
                                               int limit) {
  Database::Session session(database_);
  auto query = session->prepare(
      "SELECT " VERSION_COLUMNS
      " FROM model_versions WHERE catalog_name = $1 AND schema_name = $2 AND model_name = $3 AND "
      "version > $4 ORDER BY version LIMIT $5");
  query.bind(name.catalog, name.schema, name.model, after, limit);
  std::vector<ModelVersion> result;
  while (query.step()) result.push_back(read_version(query));
  return result;
}

std::optional<ModelVersion> ModelStore::version(const FullName& name, std::int64_t version) {
  Database::Session session(database_);
  auto query = session->prepare(
      "SELECT " VERSION_COLUMNS
      " FROM model_versions WHERE catalog_name = $1 AND schema_name = $2 AND model_name = $3 AND "
      "version = $4");
  if (!query.bind(name.catalog, name.schema, name.model, version).step()) return std::nullopt;
  return read_version(query);
}

std::optional<ModelVersion> ModelStore::latest_ready(const FullName& name) {
  Database::Session session(database_);
  auto query = session->prepare(
      "SELECT " VERSION_COLUMNS
      " FROM model_versions WHERE catalog_name = $1 AND schema_name = $2 AND model_name = $3 AND "
      "status = 'READY' ORDER BY version DESC LIMIT 1");
  if (!query.bind(name.catalog, name.schema, name.model).step()) return std::nullopt;
  return read_version(query);
}

std::int64_t ModelStore::add(const ModelVersion& v) {
  Database::Transaction transaction(database_);
  std::int64_t number = 0;
  {
    auto query = transaction->prepare(
        "UPDATE registered_models SET next_version = next_version + 1 WHERE catalog_name = $1 AND "
        "schema_name = $2 AND name = $3 RETURNING next_version - 1");
    if (!query.bind(v.catalog_name, v.schema_name, v.model_name).step()) {
      throw Error(ErrorKind::kResourceDoesNotExist, "Registered model '" + v.catalog_name + "." +
                                                        v.schema_name + "." + v.model_name +
                                                        "' does not exist.");
    }
    number = query.integer(0);
    query.run();
  }
  transaction
      ->prepare("INSERT INTO model_versions (" VERSION_COLUMNS
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)")
      .bind(v.catalog_name, v.schema_name, v.model_name, number, v.id, v.source, v.storage_location,
            to_string(v.status), v.run_id, v.comment, v.created_at_ms, v.created_by,
            v.updated_at_ms, v.updated_by)
      .run();
  transaction.commit();
  return number;
}

void ModelStore::update(const ModelVersion& v) {
  Database::Session session(database_);
  session
      ->prepare(
          "UPDATE model_versions SET status = $1, storage_location = $2, comment = $3, "
          "updated_at = $4, updated_by = $5 WHERE catalog_name = $6 AND schema_name = $7 AND "
          "model_name = $8 AND version = $9")
      .bind(to_string(v.status), v.storage_location, v.comment, v.updated_at_ms, v.updated_by,
            v.catalog_name, v.schema_name, v.model_name, v.version)
      .run();
}

void ModelStore::remove_version(const FullName& name, std::int64_t version) {
  Database::Session session(database_);
  session
      ->prepare(
          "DELETE FROM model_versions WHERE catalog_name = $1 AND schema_name = $2 AND model_name "
          "= $3 AND version = $4")
      .bind(name.catalog, name.schema, name.model, version)
      .run();
}

void ModelStore::set_alias(const FullName& name, const ModelAlias& alias) {
  Database::Session session(database_);
  session
      ->prepare(
          "INSERT INTO model_aliases (catalog_name, schema_name, model_name, alias_name, version) "
          "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (catalog_name, schema_name, model_name, "
          "alias_name) DO UPDATE SET version = excluded.version")
      .bind(name.catalog, name.schema, name.model, alias.alias_name, alias.version_num)
      .run();
}

bool ModelStore::remove_alias(const FullName& name, std::string_view alias) {
  Database::Session session(database_);
  session
      ->prepare(
          "DELETE FROM model_aliases WHERE catalog_name = $1 AND schema_name = $2 AND model_name "
          "= $3 AND alias_name = $4")
      .bind(name.catalog, name.schema, name.model, alias)
      .run();
  return session->changes() > 0;
}

}  // namespace tessera::store
