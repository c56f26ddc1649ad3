// A serving endpoint: identity, configs, and the state machine of control-plane 6.
//
// The functions below are the only ones that change `active`, `pending`, `config_update` and
// `suspended`. They do no I/O; ids and times are handed in. Control owns the endpoints and
// publishes copies in a Snapshot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/lifecycle.h"
#include "catalog/limits.h"
#include "catalog/permission.h"
#include "catalog/served_entity.h"
#include "catalog/traffic.h"

namespace tessera::catalog {

enum class ConfigUpdate { kNotUpdating, kInProgress, kUpdateFailed, kUpdateCanceled };

std::string_view to_string(ConfigUpdate update);  // "NOT_UPDATING", …
std::optional<ConfigUpdate> parse_config_update(std::string_view text);

struct EndpointConfig {
  int config_version = 0;
  std::int64_t start_time_ms = 0;  // when its roll-out began
  std::vector<ServedEntity> entities;
  TrafficConfig traffic;

  const ServedEntity* find(std::string_view entity_name) const;
  ServedEntity* find(std::string_view entity_name);
};

struct Tag {
  std::string key, value;
  bool operator==(const Tag&) const = default;
};

struct EmailNotifications {
  std::vector<std::string> on_update_success, on_update_failure;
};

// Settings that only Tessera has (control-plane 1.15).
struct TesseraSettings {
  ApiProfile api_profile = ApiProfile::kDatabricks;
  std::optional<bool> also_completions;  // absent: true for registered models
  std::optional<int> max_model_len;
  bool given = false;  // echo them only when they were set
};

// What a request meets (data-plane 5.7). Anything but kServing is an error: kStopped
// endpoint_stopped, kNeverReady never_ready, kCreating and kUnhealthy 503 not_ready.
enum class Availability { kServing, kCreating, kUnhealthy, kStopped, kNeverReady };

struct Endpoint {
  std::string name;
  std::string id;       // 32 lower-case hex digits
  std::string creator;  // empty for preconfigured ones
  std::string creator_display_name;
  Principal::Kind creator_kind = Principal::Kind::kUser;
  std::int64_t creation_timestamp_ms = 0, last_updated_timestamp_ms = 0;
  std::string description;
  std::string budget_policy_id;
  bool preconfigured = false;  // databricks-…: task and model are fixed, not deletable
  bool route_optimized = false;
  std::optional<Task> task;
  std::vector<Tag> tags;
  std::optional<EmailNotifications> email_notifications;
  std::optional<bool> usage_tracking;  // ai_gateway.usage_tracking_config.enabled
  bool fallback_enabled = false;       // ai_gateway.fallback_config.enabled
  TesseraSettings settings;
  Lifecycle lifecycle;
  Acl acl;

  std::optional<EndpointConfig> active, pending;
  ConfigUpdate config_update = ConfigUpdate::kNotUpdating;
  bool suspended = false;
  int last_config_version = 0;

  // READY: there is an active config, it is not suspended, and each of its entities is live.
  bool ready() const;
  // kServing as soon as one entity of the active config is live.
  Availability availability() const;
  std::string_view endpoint_type() const;  // "PROVISIONED_THROUGHPUT", …
  bool accepts_completions() const;        // a chat endpoint that also takes completions bodies
  Limits limits() const { return limits_of(settings.api_profile); }
  PermissionLevel level_of(const Principal& principal) const {
    return effective_level(acl, principal);
  }
};

// 1–63 of [A-Za-z0-9_-], starting with a letter or digit, not reserved, not "databricks-…" unless
// preconfigured. Throws Error(kInvalidParameterValue).
void validate_endpoint_name(std::string_view name, bool preconfigured = false);
void validate_tags(const std::vector<Tag>& tags);
// Names entities that have none, gives 100 % to a single entity without traffic, then checks all of
// 1.3 and 1.15 that needs no look at the registry. Throws Error(kInvalidParameterValue).
void complete_and_validate(EndpointConfig& config);

// What a config update asks for: absent fields keep their value (1.3).
struct ConfigChange {
  std::optional<std::vector<ServedEntity>> entities;
  std::optional<TrafficConfig> traffic;
  bool empty() const { return !entities && !traffic; }
};
// The config after the change, completed and validated; config_version and start_time are not set.
EndpointConfig merge(const Endpoint& endpoint, ConfigChange change);

// --- Transitions (6.2) ---

// Throws Error(kResourceConflict) while an update is in progress.
void require_not_updating(const Endpoint& endpoint);

// Create with config, PUT config and start: IN_PROGRESS with the next config_version. Every entity
// comes with a fresh id; those that same_deployment() finds in the active config take over its id,
// state and sockets instead, so their processes go on.
void begin_update(Endpoint& endpoint, EndpointConfig config, std::int64_t now_ms);

// A fact about the processes of one entity. It concerns the entities of that id in the active
// config (unless stopped) and in the one being rolled out; ignored when there is none.
struct EntityReport {
  std::string entity_id;
  Deployment deployment = Deployment::kCreating;
  std::string message;
  std::vector<std::string> sockets;
  std::optional<int> max_model_len;  // absent: not known yet
};
void apply(Endpoint& endpoint, const EntityReport& report);

enum class Settled { kNothing, kPromoted, kFailed };
// IN_PROGRESS and all new entities READY: pending becomes active at once. One failed, or
// `deadline_ms` passed since start: UPDATE_FAILED, and the remaining new entities are ABORTED.
Settled settle(Endpoint& endpoint, std::int64_t now_ms, std::int64_t deadline_ms);

void cancel_update(Endpoint& endpoint);  // IN_PROGRESS to UPDATE_CANCELED

// Drop the config (PUT config with {}): NOT_READY / NOT_UPDATING.
void clear_config(Endpoint& endpoint, std::int64_t now_ms);
// Throws Error(kInvalidState) when stopped already, external or preconfigured, or without config.
void stop(Endpoint& endpoint, std::int64_t now_ms);
// Rolls the last config out again. Throws Error(kInvalidState) when not stopped.
void start(Endpoint& endpoint, std::int64_t now_ms);

}  // namespace tessera::catalog
