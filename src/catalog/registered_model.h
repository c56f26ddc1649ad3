// The model registry (control-plane 4.2): catalog.schema.model and its versions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::catalog {

struct Catalog {
  std::string name, comment, owner, id;
  std::int64_t created_at_ms = 0, updated_at_ms = 0;
  std::string created_by, updated_by;
  bool is_system() const { return name == "system"; }
};

struct Schema {
  std::string catalog_name, name, comment, owner, id;
  std::int64_t created_at_ms = 0, updated_at_ms = 0;
  std::string created_by, updated_by;
  std::string full_name() const { return catalog_name + '.' + name; }
};

// What users must see (4.2.1). A note never blocks.
struct ModelNotes {
  std::string display_name;
  std::vector<std::string> notes;
  std::string license_name;  // "unknown" is said, not hidden
  std::string license_holder, license_notice;
  std::string terms_url, use_policy_url;
  bool operator==(const ModelNotes&) const = default;
  // "notes. licence line" for foundation_model.description.
  std::string flattened() const;
};

struct ModelAlias {
  std::string alias_name;
  std::int64_t version_num = 0;
  bool operator==(const ModelAlias&) const = default;
};

struct RegisteredModel {
  std::string catalog_name, schema_name, name, comment, owner, id, storage_location;
  std::int64_t created_at_ms = 0, updated_at_ms = 0;
  std::string created_by, updated_by;
  ModelNotes notes;
  std::vector<ModelAlias> aliases;
  std::string full_name() const { return catalog_name + '.' + schema_name + '.' + name; }
};

enum class VersionStatus { kUnknown, kPendingRegistration, kFailedRegistration, kReady };
std::string_view to_string(VersionStatus status);  // "READY", …
std::optional<VersionStatus> parse_version_status(std::string_view text);

struct ModelVersion {
  std::string catalog_name, schema_name, model_name;
  std::int64_t version = 0;      // 1, 2, 3 … never reused
  std::string source;            // as given: a folder, a .gguf file, or a file:// URL
  std::string storage_location;  // where the files are now
  VersionStatus status = VersionStatus::kPendingRegistration;
  std::string run_id, comment, id;
  std::int64_t created_at_ms = 0, updated_at_ms = 0;
  std::string created_by, updated_by;
};

struct FullName {
  std::string catalog, schema, model;
};
// "a.b.c" in lower case; throws Error(kInvalidParameterValue) with `field` when it has not three
// parts of [A-Za-z0-9_@-], at most 255 characters each.
FullName parse_full_name(std::string_view text, std::string_view field);
// One component, folded to lower case; throws likewise.
std::string parse_component(std::string_view text, std::string_view field);

// "file:///a/b" or "/a/b" to "/a/b"; throws Error(kInvalidParameterValue) for other schemes and
// relative paths.
std::string local_path_of(std::string_view source, std::string_view field);

}  // namespace tessera::catalog
