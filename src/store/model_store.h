// The model registry: catalogs, schemas, registered models, versions, aliases.
//
// Names are handed in folded (catalog::parse_full_name). Adding below a parent that does not exist
// throws Error(kResourceDoesNotExist), adding a taken name Error(kResourceAlreadyExists).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "catalog/registered_model.h"
#include "store/database.h"

namespace tessera::store {

class ModelStore {
 public:
  explicit ModelStore(Database& database) : database_(database) {}

  // Lists are ordered by name and give at most `limit` rows after `after` (empty: from the start).
  std::vector<catalog::Catalog> catalogs(std::string_view after, int limit);
  std::optional<catalog::Catalog> catalog(std::string_view name);
  void add(const catalog::Catalog& catalog);
  // Writes everything but id, created_at and created_by; `name` is the one before a rename.
  void update(std::string_view name, const catalog::Catalog& catalog);
  void remove_catalog(std::string_view name);  // with all below

  std::vector<catalog::Schema> schemas(std::string_view catalog_name, std::string_view after,
                                       int limit);
  std::optional<catalog::Schema> schema(std::string_view catalog_name, std::string_view name);
  void add(const catalog::Schema& schema);
  void update(std::string_view name, const catalog::Schema& schema);
  void remove_schema(std::string_view catalog_name, std::string_view name);

  // Of one schema, or of all when both names are empty; `after` is a full name.
  std::vector<catalog::RegisteredModel> models(std::string_view catalog_name,
                                               std::string_view schema_name, std::string_view after,
                                               int limit);
  std::optional<catalog::RegisteredModel> model(const catalog::FullName& name);  // with aliases
  void add(const catalog::RegisteredModel& model);
  void update(const catalog::FullName& name, const catalog::RegisteredModel& model);
  void remove_model(const catalog::FullName& name);

  // Ascending after version `after`.
  std::vector<catalog::ModelVersion> versions(const catalog::FullName& name, std::int64_t after,
                                              int limit);
  std::optional<catalog::ModelVersion> version(const catalog::FullName& name, std::int64_t version);
  // The newest with status READY.
  std::optional<catalog::ModelVersion> latest_ready(const catalog::FullName& name);
  // Takes the next number of the model, whatever `version` says, and returns it.
  std::int64_t add(const catalog::ModelVersion& version);
  void update(const catalog::ModelVersion& version);  // status, location, comment, updated_*
  void remove_version(const catalog::FullName& name, std::int64_t version);

  void set_alias(const catalog::FullName& name, const catalog::ModelAlias& alias);
  bool remove_alias(const catalog::FullName& name, std::string_view alias);

 private:
  Database& database_;
};

}  // namespace tessera::store
