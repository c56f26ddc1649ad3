#include "control/bootstrap.h"

#include <algorithm>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "control/data_folder.h"
#include "control/preconfigured.h"
#include "control/rollout.h"

namespace tessera::control {

using namespace catalog;

namespace {

constexpr std::string_view kSystem = "system", kAi = "ai";

// Decimal numbers that stay exact as JSON numbers in every client.
std::int64_t random_number() {
  const std::string bytes = random_bytes(8);
  std::uint64_t value = 0;
  for (unsigned char byte : bytes) value = value << 8 | byte;
  return 1'000'000'000'000'000 + static_cast<std::int64_t>(value % 8'000'000'000'000'000);
}

template <class T>
T born(T object) {
  object.id = uuid_v4();
  object.owner = object.created_by = object.updated_by = "system";
  object.created_at_ms = object.updated_at_ms = now_ms();
  return object;
}

void ensure_system_ai(store::ModelStore& models) {
  if (!models.catalog(kSystem)) {
    Catalog made;
    made.name = kSystem;
    made.comment = "Models that come with this installation";
    models.add(born(std::move(made)));
  }
  if (!models.schema(kSystem, kAi)) {
    Schema made;
    made.catalog_name = kSystem;
    made.name = kAi;
    models.add(born(std::move(made)));
  }
}

RegisteredModel ensure_model(store::ModelStore& models, const FullName& name,
                             const ModelNotes& notes) {
  if (auto found = models.model(name)) {
    if (found->notes != notes) {
      found->notes = notes;
      models.update(name, *found);
    }
    return *found;
  }
  RegisteredModel made;
  made.catalog_name = name.catalog;
  made.schema_name = name.schema;
  made.name = name.model;
  made.notes = notes;
  made = born(std::move(made));
  models.add(made);
  return made;
}

std::string missing_weights(const std::string& full_name) {
  return "Not ready: the weights of " + full_name +
         " are not on this machine. Remedy: put the model folder there and register it as an "
         "admin with POST /api/2.1/unity-catalog/models/versions (its path as source), then "
         "finalize the version; the endpoint starts by itself.";
}

Endpoint preconfigured_endpoint(const Preconfigured& p) {
  Endpoint endpoint;
  endpoint.name = p.endpoint_name;
  endpoint.id = hex_encode(random_bytes(16));
  endpoint.preconfigured = true;
  endpoint.task = p.task;
  endpoint.creation_timestamp_ms = endpoint.last_updated_timestamp_ms = now_ms();
  endpoint.acl = {
      {AclEntry::Grantee::kGroup, std::string(kUsersGroup), PermissionLevel::kCanQuery}};
  ServedEntity entity;
  entity.id = hex_encode(random_bytes(16));
  entity.name = p.endpoint_name;
  entity.kind = EntityKind::kFoundationModel;
  entity.entity_name = std::string(kSystem) + "." + std::string(kAi) + "." + p.model_name;
  entity.task = p.task;
  entity.model_id = p.endpoint_name.substr(std::string_view("databricks-").size());
  entity.max_model_len = p.context_length;
  EndpointConfig config;
  config.entities = {std::move(entity)};
  config.traffic.routes = {{p.endpoint_name, 100}};
  endpoint.active = std::move(config);
  return endpoint;
}

// Brings what is said about the endpoint in line with whether there are weights.
void describe(Endpoint& endpoint, const ModelNotes& notes) {
  ServedEntity& entity = endpoint.active->entities.front();
  entity.foundation_model =
      FoundationModel{entity.entity_name, notes.display_name, "", notes.flattened()};
  if (!entity.source.empty()) {
    endpoint.description = notes.flattened();
    return;
  }
  endpoint.description = missing_weights(entity.entity_name) + " " + notes.flattened();
  entity.deployment = Deployment::kFailed;
  entity.deployment_state_message = missing_weights(entity.entity_name);
}

void ensure_preconfigured(EndpointTable& table, store::ModelStore& models, const Options& options) {
  for (const Preconfigured& p : preconfigured_endpoints(options.support_contact)) {
    ensure_model(models, {std::string(kSystem), std::string(kAi), p.model_name}, p.notes);
    const Endpoint* known = table.find(p.endpoint_name);
    Endpoint next = known ? *known : preconfigured_endpoint(p);
    describe(next, p.notes);
    if (!known) {
      table.add(std::move(next));
    } else if (known->description != next.description) {
      table.change(p.endpoint_name, [&next](Endpoint& endpoint) { endpoint = next; });
    }
  }
}

// A new version when the files are elsewhere than the newest version says.
ModelVersion ensure_version(store::ModelStore& models, const FullName& name,
                            const std::string& path) {
  if (auto latest = models.latest_ready(name); latest && latest->storage_location == path) {
    return *latest;
  }
  ModelVersion made;
  made.catalog_name = name.catalog;
  made.schema_name = name.schema;
  made.model_name = name.model;
  made.source = made.storage_location = path;
  made.status = VersionStatus::kReady;
  made.id = uuid_v4();
  made.created_by = made.updated_by = "system";
  made.created_at_ms = made.updated_at_ms = now_ms();
  made.version = models.add(made);
  return made;
}

void ensure_default_endpoint(EndpointTable& table, store::Database& database,
                             store::ModelStore& models, const SecretVault& vault,
                             const Options& options, const DefaultModel& wanted,
                             const ModelVersion& version) {
  const Principal* admin = table.find_principal(options.admin_user);
  const Principal nobody;
  ConfigChange change;
  ServedEntity entity;
  entity.entity_name = wanted.full_name;
  entity.entity_version = std::to_string(version.version);
  change.entities = {entity};
  const Rollout rollout(models, vault, options);
  if (const Endpoint* known = table.find(wanted.endpoint_name)) {
    // The files have moved: follow them.
    const auto& config = known->active ? known->active : known->pending;
    const bool ours = config && config->entities.size() == 1 &&
                      config->entities[0].entity_name == wanted.full_name;
    const bool moved = ours && config->entities[0].source != version.storage_location;
    if (!moved || known->config_update == ConfigUpdate::kInProgress) return;
    table.change(wanted.endpoint_name, [&](Endpoint& endpoint) {
      rollout.begin(endpoint, change, admin ? *admin : nobody, now_ms());
    });
    return;
  }
  // Made once; a deleted one stays deleted.
  const std::string mark = "default_endpoint." + wanted.endpoint_name;
  if (database.setting(mark)) return;
  Endpoint endpoint;
  endpoint.name = wanted.endpoint_name;
  endpoint.id = hex_encode(random_bytes(16));
  endpoint.creation_timestamp_ms = endpoint.last_updated_timestamp_ms = now_ms();
  endpoint.description = wanted.notes.flattened();
  endpoint.acl = {
      {AclEntry::Grantee::kGroup, std::string(kUsersGroup), PermissionLevel::kCanQuery}};
  if (admin) {
    endpoint.creator = admin->name;
    endpoint.creator_display_name = admin->display_name;
    set_level(endpoint.acl, {AclEntry::Grantee::kUser, admin->name, PermissionLevel::kCanManage});
  }
  endpoint.task = wanted.task;
  rollout.begin(endpoint, std::move(change), admin ? *admin : nobody, now_ms());
  table.add(std::move(endpoint));
  database.set_setting(mark, "1");
}

}  // namespace

std::string new_token_text() { return "dapi" + hex_encode(random_bytes(16)); }

std::string workspace_id(store::Database& database) {
  if (auto known = database.setting("workspace_id")) return *known;
  const std::string made = std::to_string(random_number());
  database.set_setting("workspace_id", made);
  return made;
}

bool ensure_admin(EndpointTable& table, const std::string& admin_user,
                  const std::filesystem::path& token_file) {
  if (table.find_principal(admin_user)) return false;
  // The file first: a crash in between leaves a file that the next start replaces, never a user
  // whose token nobody knows.
  const std::string text = new_token_text();
  write_private_file(token_file, text + "\n");
  Principal admin;
  admin.id = random_number();
  admin.name = admin_user;
  admin.display_name = admin_user;
  admin.groups = {std::string(kUsersGroup), std::string(kAdminsGroup)};
  table.save(admin);
  table.add_token({sha256_hex(text), admin.id, "made at the first start", now_ms(), -1});
  return true;
}

void ensure_catalog(EndpointTable& table, store::Database& database, store::ModelStore& models,
                    const SecretVault& vault, const Options& options) {
  ensure_system_ai(models);
  ensure_preconfigured(table, models, options);
  for (const DefaultModel& wanted : options.default_models) {
    std::error_code error;
    if (!std::filesystem::exists(wanted.path, error)) {
      log_info("control", "default model is not there, skipping it",
               {{"model", wanted.full_name}, {"path", wanted.path.string()}});
      continue;
    }
    const FullName name = parse_full_name(wanted.full_name, "default_models");
    ensure_model(models, name, wanted.notes);
    const std::string path = std::filesystem::absolute(wanted.path).lexically_normal().string();
    const ModelVersion version = ensure_version(models, name, path);
    ensure_default_endpoint(table, database, models, vault, options, wanted, version);
  }
}

std::vector<DefaultModel> shipped_default_models(const std::filesystem::path& chat_model,
                                                 const std::filesystem::path& embedding_model) {
  ModelNotes chat, embedding;
  chat.display_name = "SmolLM2 135M Instruct";
  embedding.display_name = "all-MiniLM-L6-v2";
  chat.license_name = embedding.license_name = "Apache-2.0";
  return {
      {"system.ai.smollm2_135m_instruct", "smollm2-135m-instruct", chat_model, Task::kChat, chat},
      {"system.ai.all_minilm_l6_v2", "all-minilm-l6-v2", embedding_model, Task::kEmbeddings,
       embedding}};
}

}  // namespace tessera::control
