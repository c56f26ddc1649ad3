#include "control/rollout.h"

#include <algorithm>
#include <limits>

#include "base/crypto.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera::control {

using namespace catalog;

namespace {

void check_chunk(const ServedEntity& entity, std::string_view path, int chunk) {
  struct Bound {
    const char* field;
    const std::optional<std::int64_t>& value;
  };
  for (const auto& [field, value] :
       {Bound{"min_provisioned_throughput", entity.min_provisioned_throughput},
        Bound{"max_provisioned_throughput", entity.max_provisioned_throughput}}) {
    if (!value || *value % chunk == 0) continue;
    const std::string at = std::string(path) + "." + field;
    throw Error(ErrorKind::kInvalidParameterValue,
                at + ": received " + std::to_string(*value) +
                    ", want a multiple of the model's throughput_chunk_size " +
                    std::to_string(chunk) + ".",
                at);
  }
}

// "system.ai.llama_v3_3_70b_instruct" is called "llama-v3-3-70b-instruct" in answers.
std::string canonical_model_id(const FullName& name) {
  std::string id = name.model;
  std::replace(id.begin(), id.end(), '_', '-');
  return id;
}

void describe_foundation(ServedEntity& entity, const RegisteredModel& model) {
  if (model.catalog_name != "system") return;
  entity.foundation_model =
      FoundationModel{model.full_name(), model.notes.display_name, "", model.notes.flattened()};
}

}  // namespace

std::optional<ModelFacts> Rollout::facts(const std::filesystem::path& path) const {
  if (!options_.inspect) return std::nullopt;
  try {
    return options_.inspect(path);
  } catch (const Error&) {
    return std::nullopt;  // the worker says why, in the entity's deployment_state_message
  }
}

ModelVersion Rollout::version(const std::string& full_name, std::string_view number,
                              std::string_view field) const {
  const FullName name = parse_full_name(full_name, field);
  if (!models_.model(name)) {
    throw Error(ErrorKind::kResourceDoesNotExist,
                "Registered model '" + full_name + "' does not exist.", std::string(field));
  }
  const auto parsed = parse_int(number);
  const auto found = parsed ? models_.version(name, *parsed) : std::nullopt;
  if (!found) {
    throw Error(ErrorKind::kResourceDoesNotExist,
                "Version " + quote_for_message(number) + " of registered model '" + full_name +
                    "' does not exist.",
                std::string(field));
  }
  return *found;
}

void Rollout::fill_version(ServedEntity& entity) const {
  if (entity.kind != EntityKind::kRegisteredModel || !entity.entity_version.empty()) return;
  if (!entity.provisioned_model_units || entity.entity_name.empty()) return;
  const auto latest = models_.latest_ready(parse_full_name(entity.entity_name, "entity_name"));
  if (!latest) {
    throw Error(ErrorKind::kResourceDoesNotExist,
                "Registered model '" + entity.entity_name + "' has no READY version.",
                "entity_name");
  }
  entity.entity_version = std::to_string(latest->version);
}

void Rollout::resolve(ServedEntity& entity, std::string_view path) const {
  if (entity.external_model) {
    entity.task = entity.external_model->task;
    entity.model_id = entity.external_model->name;
    return;
  }
  const std::string at(path);
  const ModelVersion found =
      version(entity.entity_name, entity.entity_version, at + ".entity_name");
  if (found.status != VersionStatus::kReady) {
    throw Error(ErrorKind::kInvalidParameterValue,
                at + ".entity_version: version " + entity.entity_version + " of '" +
                    entity.entity_name + "' has status " + std::string(to_string(found.status)) +
                    ", want READY.",
                at + ".entity_version");
  }
  const FullName name = parse_full_name(entity.entity_name, "entity_name");
  entity.entity_name = name.catalog + "." + name.schema + "." + name.model;
  entity.entity_version = std::to_string(found.version);
  entity.source = found.storage_location;
  entity.model_id = canonical_model_id(name);
  if (const auto known = facts(entity.source)) {
    entity.task = known->task;
    if (known->context_length > 0) entity.max_model_len = known->context_length;
  }
  check_chunk(entity, path, chunk_size());
  describe_foundation(entity, *models_.model(name));
}

void Rollout::begin(Endpoint& endpoint, ConfigChange change, const Principal& principal,
                    std::int64_t now_ms) const {
  require_not_updating(endpoint);
  const bool new_entities = change.entities.has_value();
  if (new_entities) {
    for (std::size_t i = 0; i < change.entities->size(); ++i) {
      ServedEntity& entity = (*change.entities)[i];
      fill_version(entity);
      if (!entity.external_model) continue;
      if (entity.name.empty()) entity.name = default_entity_name(entity);
      const std::string at = "served_entities[" + std::to_string(i) + "].external_model";
      vault_.adopt(entity, endpoint, principal, at);
    }
  }
  EndpointConfig config = merge(endpoint, std::move(change));
  for (std::size_t i = 0; i < config.entities.size(); ++i) {
    ServedEntity& entity = config.entities[i];
    if (new_entities) {
      resolve(entity, "served_entities[" + std::to_string(i) + "]");
      entity.creator = principal.name;
      entity.creation_timestamp_ms = now_ms;
    }
    entity.id = hex_encode(random_bytes(16));
    if (endpoint.settings.max_model_len && entity.max_model_len) {
      entity.max_model_len = std::min(*endpoint.settings.max_model_len, *entity.max_model_len);
    }
    const ServedEntity& first = config.entities.front();
    if (entity.task != first.task) {
      throw Error(ErrorKind::kInvalidParameterValue,
                  "served_entities: '" + first.name + "' has task " +
                      std::string(to_string(first.task)) + " and '" + entity.name + "' has " +
                      std::string(to_string(entity.task)) + ", want the same task.",
                  "served_entities");
    }
  }
  if (!endpoint.task) endpoint.task = config.entities.front().task;
  const bool external = config.entities.front().external_model.has_value();
  begin_update(endpoint, std::move(config), now_ms);
  // Nothing has to be started, so there is nothing to wait for.
  if (external) settle(endpoint, now_ms, std::numeric_limits<std::int64_t>::max());
}

void Rollout::begin_preconfigured(Endpoint& endpoint, const ModelVersion& version,
                                  std::int64_t now_ms) const {
  if (!endpoint.active) return;
  EndpointConfig config = *endpoint.active;
  ServedEntity& entity = config.entities.front();
  entity.id = hex_encode(random_bytes(16));
  entity.entity_version = std::to_string(version.version);
  entity.source = version.storage_location;
  entity.creation_timestamp_ms = now_ms;
  if (entity.foundation_model) endpoint.description = entity.foundation_model->description;
  if (const auto known = facts(entity.source); known && known->context_length > 0) {
    entity.max_model_len = known->context_length;
  }
  begin_update(endpoint, std::move(config), now_ms);
}

}  // namespace tessera::control
