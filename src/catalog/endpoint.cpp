// What an endpoint is and what it may be; its transitions are in transitions.cpp.
#include "catalog/endpoint.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "base/error.h"
#include "base/strings.h"

namespace tessera::catalog {
namespace {

constexpr std::string_view kUpdates[] = {"NOT_UPDATING", "IN_PROGRESS", "UPDATE_FAILED",
                                         "UPDATE_CANCELED"};
// Path segments of other routes under /serving-endpoints/ (control-plane 1.1, data-plane 1.1).
constexpr std::string_view kReserved[] = {"pt",         "get-model-optimization-info",
                                          "chat",       "completions",
                                          "embeddings", "responses",
                                          "models",     "served-models",
                                          "health",     "anthropic"};
constexpr std::size_t kMaxEntities = 15, kMaxTags = 20;

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

[[noreturn]] void invalid(std::string field, std::string message) {
  throw Error(ErrorKind::kInvalidParameterValue, field + ": " + std::move(message), field);
}

}  // namespace

std::string_view to_string(ConfigUpdate update) { return kUpdates[static_cast<int>(update)]; }

std::optional<ConfigUpdate> parse_config_update(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kUpdates); ++i) {
    if (kUpdates[i] == text) return static_cast<ConfigUpdate>(i);
  }
  return std::nullopt;
}

const ServedEntity* EndpointConfig::find(std::string_view entity_name) const {
  for (const ServedEntity& entity : entities) {
    if (entity.name == entity_name) return &entity;
  }
  return nullptr;
}

ServedEntity* EndpointConfig::find(std::string_view entity_name) {
  return const_cast<ServedEntity*>(std::as_const(*this).find(entity_name));
}

bool Endpoint::ready() const {
  return active && !suspended && !active->entities.empty() &&
         std::all_of(active->entities.begin(), active->entities.end(),
                     [](const ServedEntity& entity) { return entity.live(); });
}

Availability Endpoint::availability() const {
  if (suspended) return Availability::kStopped;
  if (active) {
    bool hopeless = true;
    for (const ServedEntity& entity : active->entities) {
      if (entity.live()) return Availability::kServing;
      hopeless = hopeless && entity.deployment == Deployment::kFailed;
    }
    if (!hopeless) return Availability::kUnhealthy;
  }
  return config_update == ConfigUpdate::kInProgress ? Availability::kCreating
                                                    : Availability::kNeverReady;
}

std::string_view Endpoint::endpoint_type() const {
  if (preconfigured) return "FOUNDATION_MODEL_API";
  const auto& config = active ? active : pending;
  if (!config || config->entities.empty()) return "UNKNOWN_ENDPOINT_TYPE";
  const ServedEntity& first = config->entities.front();
  if (first.kind == EntityKind::kExternalModel) return "EXTERNAL_MODEL";
  return first.is_provisioned_throughput() ? "PROVISIONED_THROUGHPUT" : "UNKNOWN_ENDPOINT_TYPE";
}

bool Endpoint::accepts_completions() const {
  if (settings.also_completions) return *settings.also_completions;
  const auto& config = active ? active : pending;
  return config && !config->entities.empty() &&
         config->entities.front().kind == EntityKind::kRegisteredModel;
}

void validate_endpoint_name(std::string_view name, bool preconfigured) {
  const bool alphabet = std::all_of(name.begin(), name.end(),
                                    [](char c) { return alphanumeric(c) || c == '-' || c == '_'; });
  if (name.empty() || name.size() > 63 || !alphabet || !alphanumeric(name[0])) {
    invalid("name", "received " + quote_for_message(name) +
                        ", want 1 to 63 letters, digits, '-' and '_', the first one a letter or "
                        "a digit.");
  }
  if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved)) {
    invalid("name", quote_for_message(name) + " is reserved; choose another name.");
  }
  if (!preconfigured && name.starts_with("databricks-")) {
    invalid("name", "received " + quote_for_message(name) +
                        ", but the prefix 'databricks-' is reserved for preconfigured endpoints.");
  }
}

void validate_tags(const std::vector<Tag>& tags) {
  if (tags.size() > kMaxTags) {
    invalid("tags", "received " + std::to_string(tags.size()) + ", want at most 20.");
  }
  std::set<std::string_view> keys;
  for (const Tag& tag : tags) {
    if (tag.key.empty() || tag.key.size() > 127) {
      invalid("tags.key", "received " + quote_for_message(tag.key) + ", want 1 to 127 characters.");
    }
    if (tag.value.size() > 255) {
      invalid("tags.value", "the value of " + quote_for_message(tag.key) + " has " +
                                std::to_string(tag.value.size()) +
                                " characters, want at most 255.");
    }
    if (!keys.insert(tag.key).second) {
      invalid("tags.key", quote_for_message(tag.key) + " is given twice, want unique keys.");
    }
  }
}

void complete_and_validate(EndpointConfig& config) {
  auto& entities = config.entities;
  if (entities.empty() || entities.size() > kMaxEntities) {
    invalid("served_entities",
            "received " + std::to_string(entities.size()) + " entries, want 1 to 15.");
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < entities.size(); ++i) {
    ServedEntity& entity = entities[i];
    if (entity.name.empty()) entity.name = default_entity_name(entity);
    validate(entity, "served_entities[" + std::to_string(i) + "]");
    if (!names.insert(entity.name).second) {
      invalid("served_entities[" + std::to_string(i) + "].name",
              quote_for_message(entity.name) + " is used twice, want unique names.");
    }
    const ServedEntity& first = entities.front();
    if ((entity.kind == EntityKind::kExternalModel) != (first.kind == EntityKind::kExternalModel)) {
      invalid("served_entities", "external models and registered models cannot share an endpoint.");
    }
    if (entity.external_model && entity.external_model->task != first.external_model->task) {
      invalid("served_entities", "'" + first.name + "' has task " +
                                     std::string(to_string(first.external_model->task)) + " and '" +
                                     entity.name + "' has " +
                                     std::string(to_string(entity.external_model->task)) +
                                     ", want the same task.");
    }
    if (entity.workload_size.empty() && !entity.min_provisioned_concurrency &&
        !entity.max_provisioned_concurrency && entity.kind != EntityKind::kExternalModel) {
      entity.workload_size = "Small";
    }
    if (entity.workload_type.empty() && entity.kind != EntityKind::kExternalModel) {
      entity.workload_type = "CPU";
    }
    if (entity.max_provisioned_throughput && !entity.min_provisioned_throughput) {
      entity.min_provisioned_throughput = 0;
    }
  }
  if (config.traffic.routes.empty()) {
    if (entities.size() > 1) {
      invalid("traffic_config",
              "missing, want routes because there is more than one served entity.");
    }
    config.traffic.routes = {{entities.front().name, 100}};
  }
  validate(config.traffic, entities);
}

EndpointConfig merge(const Endpoint& endpoint, ConfigChange change) {
  const auto& newest = endpoint.pending && endpoint.config_update == ConfigUpdate::kInProgress
                           ? endpoint.pending
                           : endpoint.active;
  EndpointConfig config;
  if (change.entities) {
    config.entities = std::move(*change.entities);
  } else if (newest) {
    config.entities = newest->entities;
  }
  if (config.entities.empty()) {
    invalid("served_entities", "missing, and the endpoint has no config to change.");
  }
  if (newest && !newest->entities.empty() &&
      (newest->entities.front().kind == EntityKind::kExternalModel) !=
          (config.entities.front().kind == EntityKind::kExternalModel)) {
    invalid("served_entities", "an endpoint cannot change between external and other models.");
  }
  for (ServedEntity& entity : config.entities) {
    if (entity.name.empty()) entity.name = default_entity_name(entity);
  }
  if (change.traffic) {
    config.traffic = std::move(*change.traffic);
  } else if (newest) {
    // Old routes stay when they fit the new list exactly; else complete_and_validate decides.
    const auto& routes = newest->traffic.routes;
    const bool fit = std::all_of(routes.begin(), routes.end(), [&](const Route& route) {
      return config.find(route.served_entity_name) != nullptr;
    });
    const bool cover = std::all_of(
        config.entities.begin(), config.entities.end(), [&](const ServedEntity& entity) {
          return std::any_of(routes.begin(), routes.end(), [&](const Route& route) {
            return route.served_entity_name == entity.name;
          });
        });
    if (fit && cover) config.traffic = newest->traffic;
  }
  complete_and_validate(config);
  return config;
}

}  // namespace tessera::catalog
