// The state machine of control-plane 6.2.
#include <algorithm>

#include "base/error.h"
#include "catalog/endpoint.h"

namespace tessera::catalog {
namespace {

bool all_ready(const EndpointConfig& config) {
  return std::all_of(config.entities.begin(), config.entities.end(), [](const ServedEntity& e) {
    return e.deployment == Deployment::kReady && e.live();
  });
}

const ServedEntity* first_failed(const EndpointConfig& config) {
  for (const ServedEntity& entity : config.entities) {
    if (entity.deployment == Deployment::kFailed) return &entity;
  }
  return nullptr;
}

// Entities whose processes already run for `active`.
void take_over(EndpointConfig& config, const std::optional<EndpointConfig>& active) {
  if (!active) return;
  for (ServedEntity& entity : config.entities) {
    for (const ServedEntity& old : active->entities) {
      if (!same_deployment(entity, old)) continue;
      entity.id = old.id;
      entity.task = old.task;
      entity.model_id = old.model_id;
      entity.max_model_len = old.max_model_len;
      entity.deployment = old.deployment;
      entity.deployment_state_message = old.deployment_state_message;
      entity.sockets = old.sockets;
      entity.creation_timestamp_ms = old.creation_timestamp_ms;
      break;
    }
  }
}

void fail(Endpoint& endpoint, std::string_view reason) {
  endpoint.config_update = ConfigUpdate::kUpdateFailed;
  for (ServedEntity& entity : endpoint.pending->entities) {
    entity.sockets.clear();
    if (entity.deployment == Deployment::kFailed) continue;
    entity.deployment = Deployment::kAborted;
    entity.deployment_state_message = reason;
  }
}

}  // namespace

void require_not_updating(const Endpoint& endpoint) {
  if (endpoint.config_update != ConfigUpdate::kInProgress) return;
  throw Error(ErrorKind::kResourceConflict,
              "Endpoint served entities are currently being updated. Please wait for the update of "
              "endpoint '" +
                  endpoint.name + "' to complete before starting another one.");
}

void begin_update(Endpoint& endpoint, EndpointConfig config, std::int64_t now_ms) {
  require_not_updating(endpoint);
  config.config_version = ++endpoint.last_config_version;
  config.start_time_ms = now_ms;
  for (ServedEntity& entity : config.entities) {
    const bool external = entity.kind == EntityKind::kExternalModel;
    entity.deployment = external ? Deployment::kReady : Deployment::kCreating;
    entity.deployment_state_message = external ? "" : "Creating resources for served entity.";
    entity.sockets.clear();
  }
  // A stopped endpoint has nothing that runs.
  if (!endpoint.suspended) take_over(config, endpoint.active);
  endpoint.pending = std::move(config);
  endpoint.config_update = ConfigUpdate::kInProgress;
  endpoint.suspended = false;
  endpoint.last_updated_timestamp_ms = now_ms;
}

void apply(Endpoint& endpoint, const EntityReport& report) {
  auto apply_to = [&report](EndpointConfig& config) {
    for (ServedEntity& entity : config.entities) {
      if (entity.id != report.entity_id) continue;
      entity.deployment = report.deployment;
      entity.deployment_state_message = report.message;
      entity.sockets = report.sockets;
      if (report.max_model_len) entity.max_model_len = report.max_model_len;
    }
  };
  if (endpoint.active && !endpoint.suspended) apply_to(*endpoint.active);
  if (endpoint.config_update == ConfigUpdate::kInProgress) apply_to(*endpoint.pending);
}

Settled settle(Endpoint& endpoint, std::int64_t now_ms, std::int64_t deadline_ms) {
  if (endpoint.config_update != ConfigUpdate::kInProgress || !endpoint.pending) {
    return Settled::kNothing;
  }
  EndpointConfig& pending = *endpoint.pending;
  if (all_ready(pending)) {
    endpoint.task = pending.entities.front().task;
    endpoint.active = std::move(pending);
    endpoint.pending.reset();
    endpoint.config_update = ConfigUpdate::kNotUpdating;
    return Settled::kPromoted;
  }
  if (const ServedEntity* failed = first_failed(pending)) {
    fail(endpoint, "Aborted because served entity '" + failed->name + "' failed.");
    return Settled::kFailed;
  }
  if (now_ms - pending.start_time_ms >= deadline_ms) {
    fail(endpoint, "Aborted: the update did not finish within " +
                       std::to_string(deadline_ms / 1000) + " seconds.");
    return Settled::kFailed;
  }
  return Settled::kNothing;
}

void cancel_update(Endpoint& endpoint) {
  if (endpoint.config_update != ConfigUpdate::kInProgress) {
    throw Error(ErrorKind::kInvalidState,
                "Endpoint '" + endpoint.name + "' has no update in progress.");
  }
  endpoint.pending.reset();
  endpoint.config_update = ConfigUpdate::kUpdateCanceled;
}

void clear_config(Endpoint& endpoint, std::int64_t now_ms) {
  require_not_updating(endpoint);
  endpoint.active.reset();
  endpoint.pending.reset();
  endpoint.config_update = ConfigUpdate::kNotUpdating;
  endpoint.suspended = false;
  endpoint.last_updated_timestamp_ms = now_ms;
}

void stop(Endpoint& endpoint, std::int64_t now_ms) {
  require_not_updating(endpoint);
  const std::string name = "Endpoint '" + endpoint.name + "'";
  if (endpoint.preconfigured || endpoint.endpoint_type() == "EXTERNAL_MODEL") {
    throw Error(ErrorKind::kInvalidState,
                name + " cannot be stopped: only endpoints of registered models can.");
  }
  if (endpoint.suspended) throw Error(ErrorKind::kInvalidState, name + " is stopped already.");
  if (!endpoint.active) {
    throw Error(ErrorKind::kInvalidState, name + " has no active config to stop.");
  }
  for (ServedEntity& entity : endpoint.active->entities) {
    entity.sockets.clear();
    entity.deployment = Deployment::kAborted;
    entity.deployment_state_message = "Stopped.";
  }
  endpoint.suspended = true;
  endpoint.last_updated_timestamp_ms = now_ms;
}

void start(Endpoint& endpoint, std::int64_t now_ms) {
  require_not_updating(endpoint);
  if (!endpoint.suspended || !endpoint.active) {
    throw Error(ErrorKind::kInvalidState, "Endpoint '" + endpoint.name + "' is not stopped.");
  }
  begin_update(endpoint, *endpoint.active, now_ms);
}

}  // namespace tessera::catalog
