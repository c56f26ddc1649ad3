#include "control/endpoint_json.h"

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "catalog/worker_settings.h"
#include "control/external_model_json.h"

namespace tessera::control {
namespace {

using namespace catalog;

[[noreturn]] void not_supported(std::string path) {
  throw Error(ErrorKind::kInvalidParameterValue, path + ": not supported yet; leave it out.", path);
}

bool is_empty(const json::value& value) {
  if (value.is_null()) return true;
  if (const auto* array = value.if_array()) return array->empty();
  if (const auto* object = value.if_object()) return object->empty();
  return false;
}

// Settings that would be stored and not enforced are refused, so that nobody relies on them.
void refuse(const json::object& object, std::string_view field, std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value && !is_empty(*value)) not_supported(join_path(path, field));
}

void refuse_true(const json::object& object, std::string_view field, std::string_view path) {
  if (get_bool(object, field, path).value_or(false)) not_supported(join_path(path, field));
}

// An object that may be there as long as its `enabled` is not true.
void refuse_enabled(const json::object& object, std::string_view field, std::string_view path) {
  if (const json::object* inner = get_object(object, field, path)) {
    refuse_true(*inner, "enabled", join_path(path, field));
  }
}

std::map<std::string, std::string> parse_environment(const json::object& o, std::string_view path) {
  std::map<std::string, std::string> result;
  const json::object* variables = get_object(o, "environment_vars", path);
  if (!variables) return result;
  const std::string at = join_path(path, "environment_vars");
  for (const auto& [key, value] : *variables) {
    const std::string here = join_path(at, key);
    const std::string_view text = as_string(value, here);
    const bool name_ok = !key.empty() && std::string_view(key).find('=') == std::string_view::npos;
    if (!name_ok || std::string_view(key).find('\0') != std::string_view::npos ||
        text.find('\0') != std::string_view::npos) {
      throw Error(ErrorKind::kInvalidParameterValue,
                  at + ": " + quote_for_message(key) +
                      " is not a valid variable, want a name "
                      "without '=' and no zero bytes.",
                  at);
    }
    if (text.find("{{secrets/") != std::string_view::npos)
      not_supported(here + " (secret reference)");
    check_worker_setting(key, text, here);
    result[key] = text;
  }
  return result;
}

// The fields that ServedEntityInput, ServedModelInput and PtServedModel share.
ServedEntity parse_common(const json::object& o, std::string_view path) {
  ServedEntity e;
  e.name = get_string(o, "name", path).value_or("");
  e.provisioned_model_units = get_int_or_digits(o, "provisioned_model_units", path);
  e.burst_scaling_enabled = get_bool(o, "burst_scaling_enabled", path).value_or(true);
  return e;
}

void parse_workload(ServedEntity& e, const json::object& o, std::string_view path) {
  e.workload_type = get_string(o, "workload_type", path).value_or("");
  e.workload_size = get_string(o, "workload_size", path).value_or("");
  e.min_provisioned_concurrency = get_int_or_digits(o, "min_provisioned_concurrency", path);
  e.max_provisioned_concurrency = get_int_or_digits(o, "max_provisioned_concurrency", path);
  e.scale_to_zero_enabled = get_bool(o, "scale_to_zero_enabled", path).value_or(false);
  e.min_provisioned_throughput = get_int_or_digits(o, "min_provisioned_throughput", path);
  e.max_provisioned_throughput = get_int_or_digits(o, "max_provisioned_throughput", path);
  e.environment_vars = parse_environment(o, path);
  e.instance_profile_arn = get_string(o, "instance_profile_arn", path).value_or("");
}

ServedEntity parse_entity(const json::object& o, std::string_view path) {
  ServedEntity e = parse_common(o, path);
  if (const json::object* external = get_object(o, "external_model", path)) {
    e.kind = EntityKind::kExternalModel;
    e.external_model = parse_external_model(*external, join_path(path, "external_model"));
  }
  e.entity_name = get_string(o, "entity_name", path).value_or("");
  e.entity_version = get_string_or_int(o, "entity_version", path).value_or("");
  parse_workload(e, o, path);
  return e;
}

ServedEntity parse_model(const json::object& o, std::string_view path) {
  ServedEntity e = parse_common(o, path);
  e.entity_name = require_string(o, "model_name", path);
  e.entity_version = get_string_or_int(o, "model_version", path).value_or("");
  parse_workload(e, o, path);
  return e;
}

ServedEntity parse_pt_entity(const json::object& o, std::string_view path) {
  ServedEntity e = parse_common(o, path);
  e.entity_name = require_string(o, "entity_name", path);
  e.entity_version = get_string_or_int(o, "entity_version", path).value_or("");
  if (!e.provisioned_model_units) throw_missing(join_path(path, "provisioned_model_units"));
  refuse(o, "pt_term", path);
  return e;
}

TrafficConfig parse_traffic(const json::object& o, std::string_view path) {
  TrafficConfig traffic;
  const json::array* routes = get_array(o, "routes", path);
  if (!routes) return traffic;
  const std::string at = join_path(path, "routes");
  for (std::size_t i = 0; i < routes->size(); ++i) {
    const std::string here = index_path(at, i);
    const json::object& route = as_object((*routes)[i], here);
    const auto entity = get_string(route, "served_entity_name", here);
    const auto model = get_string(route, "served_model_name", here);
    if (!entity && !model) throw_missing(join_path(here, "served_entity_name"));
    if (entity && model && *entity != *model) {
      throw Error(ErrorKind::kInvalidParameterValue,
                  here + ": served_entity_name " + quote_for_message(*entity) +
                      " and served_model_name " + quote_for_message(*model) + " must agree.",
                  here);
    }
    const std::int64_t share = require_int(route, "traffic_percentage", here);
    check_range(share, 0, 100, join_path(here, "traffic_percentage"));
    traffic.routes.push_back({entity ? *entity : *model, static_cast<int>(share)});
  }
  return traffic;
}

using EntityParser = ServedEntity (*)(const json::object&, std::string_view);

std::vector<ServedEntity> parse_list(const json::array& list, const std::string& path,
                                     EntityParser parse) {
  std::vector<ServedEntity> entities;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string here = index_path(path, i);
    entities.push_back(parse(as_object(list[i], here), here));
  }
  return entities;
}

std::vector<std::string> parse_strings(const json::object& o, std::string_view field,
                                       std::string_view path) {
  std::vector<std::string> strings;
  if (const json::array* list = get_array(o, field, path)) {
    const std::string at = join_path(path, field);
    for (std::size_t i = 0; i < list->size(); ++i) {
      strings.emplace_back(as_string((*list)[i], index_path(at, i)));
    }
  }
  return strings;
}

// --- Out ---

template <class T>
void put(json::object& o, std::string_view key, const std::optional<T>& value) {
  if (value) o[key] = *value;
}

void put(json::object& o, std::string_view key, const std::string& value) {
  if (!value.empty()) o[key] = value;
}

json::object state_json(const ServedEntity& e) {
  return {{"deployment", to_string(e.deployment)},
          {"deployment_state_message", e.deployment_state_message}};
}

void put_workload(json::object& o, const ServedEntity& e) {
  put(o, "workload_size", e.workload_size);
  put(o, "workload_type", e.workload_type);
  o["scale_to_zero_enabled"] = e.scale_to_zero_enabled;
  put(o, "min_provisioned_concurrency", e.min_provisioned_concurrency);
  put(o, "max_provisioned_concurrency", e.max_provisioned_concurrency);
  put(o, "provisioned_model_units", e.provisioned_model_units);
}

void put_environment(json::object& o, const ServedEntity& e) {
  if (!e.environment_vars.empty()) {
    json::object variables;
    for (const auto& [name, value] : e.environment_vars) variables[name] = value;
    o["environment_vars"] = std::move(variables);
  }
  put(o, "instance_profile_arn", e.instance_profile_arn);
}

json::object foundation_json(const FoundationModel& model) {
  json::object o{{"name", model.name}};
  put(o, "display_name", model.display_name);
  put(o, "docs", model.docs);
  put(o, "description", model.description);
  return o;
}

json::object entity_json(const ServedEntity& e) {
  json::object o;
  o["name"] = e.name;
  put(o, "entity_name", e.entity_name);
  put(o, "entity_version", e.entity_version);
  o["type"] = to_string(e.kind);
  if (e.foundation_model) o["foundation_model"] = foundation_json(*e.foundation_model);
  if (e.external_model) o["external_model"] = external_model_json(*e.external_model);
  if (e.kind != EntityKind::kExternalModel) put_workload(o, e);
  put(o, "min_provisioned_throughput", e.min_provisioned_throughput);
  put(o, "max_provisioned_throughput", e.max_provisioned_throughput);
  put_environment(o, e);
  put(o, "creator", e.creator);
  if (e.creation_timestamp_ms) o["creation_timestamp"] = e.creation_timestamp_ms;
  o["state"] = state_json(e);
  return o;
}

json::object model_json(const ServedEntity& e) {
  json::object o;
  o["name"] = e.name;
  o["model_name"] = e.entity_name;
  o["model_version"] = e.entity_version;
  put_workload(o, e);
  put_environment(o, e);
  put(o, "creator", e.creator);
  if (e.creation_timestamp_ms) o["creation_timestamp"] = e.creation_timestamp_ms;
  o["state"] = state_json(e);
  return o;
}

json::object traffic_json(const TrafficConfig& traffic) {
  json::array routes;
  for (const Route& route : traffic.routes) {
    routes.push_back({{"served_model_name", route.served_entity_name},
                      {"served_entity_name", route.served_entity_name},
                      {"traffic_percentage", route.traffic_percentage}});
  }
  return {{"routes", std::move(routes)}};
}

json::object config_json(const EndpointConfig& config) {
  json::object o;
  o["config_version"] = config.config_version;
  json::array entities, models;
  for (const ServedEntity& e : config.entities) {
    entities.push_back(entity_json(e));
    if (e.kind == EntityKind::kRegisteredModel) models.push_back(model_json(e));
  }
  o["served_entities"] = std::move(entities);
  if (!models.empty()) o["served_models"] = std::move(models);
  o["traffic_config"] = traffic_json(config.traffic);
  return o;
}

json::object summary_config_json(const EndpointConfig& config) {
  json::array entities, models;
  for (const ServedEntity& e : config.entities) {
    json::object spec{{"name", e.name}};
    put(spec, "entity_name", e.entity_name);
    put(spec, "entity_version", e.entity_version);
    spec["type"] = to_string(e.kind);
    if (e.foundation_model) spec["foundation_model"] = foundation_json(*e.foundation_model);
    if (e.external_model) spec["external_model"] = external_model_json(*e.external_model);
    entities.push_back(std::move(spec));
    if (e.kind == EntityKind::kRegisteredModel) {
      models.push_back(
          {{"name", e.name}, {"model_name", e.entity_name}, {"model_version", e.entity_version}});
    }
  }
  json::object o{{"served_entities", std::move(entities)}};
  if (!models.empty()) o["served_models"] = std::move(models);
  return o;
}

json::object endpoint_state_json(const Endpoint& endpoint) {
  json::object state{{"ready", endpoint.ready() ? "READY" : "NOT_READY"},
                     {"config_update", to_string(endpoint.config_update)}};
  if (!endpoint.preconfigured) {
    state["suspend"] = endpoint.suspended ? "SUSPENDED" : "NOT_SUSPENDED";
  }
  return state;
}

// What list items and details share; preconfigured endpoints have no creator and no times.
json::object endpoint_head(const Endpoint& endpoint, PermissionLevel level) {
  json::object o;
  o["name"] = endpoint.name;
  o["id"] = endpoint.id;
  if (!endpoint.preconfigured) {
    o["creator"] = endpoint.creator;
    put(o, "creator_display_name", endpoint.creator_display_name);
    o["creator_kind"] = to_string(endpoint.creator_kind);
    o["creation_timestamp"] = endpoint.creation_timestamp_ms;
    o["last_updated_timestamp"] = endpoint.last_updated_timestamp_ms;
  }
  o["state"] = endpoint_state_json(endpoint);
  if (!endpoint.tags.empty()) o["tags"] = tags_json(endpoint.tags);
  if (endpoint.task) o["task"] = to_string(*endpoint.task);
  o["endpoint_type"] = endpoint.endpoint_type();
  o["description"] = endpoint.description;
  o["permission_level"] = to_string(level);
  o["route_optimized"] = endpoint.route_optimized;
  json::object gateway = ai_gateway_json(endpoint);
  if (!gateway.empty()) o["ai_gateway"] = std::move(gateway);
  put(o, "effective_budget_policy_id", endpoint.budget_policy_id);
  if (endpoint.lifecycle.state != LifecycleState::kActive) {
    json::object lifecycle{{"state", to_string(endpoint.lifecycle.state)}};
    put(lifecycle, "retire_at", endpoint.lifecycle.retire_at);
    put(lifecycle, "replacement", endpoint.lifecycle.replacement);
    o["lifecycle"] = std::move(lifecycle);
  }
  return o;
}

}  // namespace

ConfigChange parse_config(const json::object& body, std::string_view path) {
  ConfigChange change;
  const json::array* entities = get_array(body, "served_entities", path);
  const json::array* models = get_array(body, "served_models", path);
  if (entities && models) {
    throw Error(ErrorKind::kInvalidParameterValue,
                join_path(path, "served_models") +
                    ": cannot be combined with served_entities; send one of the two.",
                join_path(path, "served_models"));
  }
  if (entities) {
    change.entities = parse_list(*entities, join_path(path, "served_entities"), parse_entity);
  } else if (models) {
    change.entities = parse_list(*models, join_path(path, "served_models"), parse_model);
  }
  if (const json::object* traffic = get_object(body, "traffic_config", path)) {
    change.traffic = parse_traffic(*traffic, join_path(path, "traffic_config"));
  }
  refuse_enabled(body, "auto_capture_config", path);
  return change;
}

ConfigChange parse_pt_config(const json::object& body, std::string_view path) {
  ConfigChange change;
  change.entities = parse_list(require_array(body, "served_entities", path),
                               join_path(path, "served_entities"), parse_pt_entity);
  if (const json::object* traffic = get_object(body, "traffic_config", path)) {
    change.traffic = parse_traffic(*traffic, join_path(path, "traffic_config"));
  }
  return change;
}

NewEndpoint parse_new_endpoint(const json::object& body, bool provisioned_throughput) {
  NewEndpoint made;
  Endpoint& e = made.endpoint;
  e.name = require_string(body, "name");
  validate_endpoint_name(e.name);
  if (provisioned_throughput) {
    made.config = parse_pt_config(require_object(body, "config"), "config");
    refuse(body, "relocate_pt_commitment", "");
  } else if (const json::object* config = get_object(body, "config")) {
    made.config = parse_config(*config, "config");
    if (made.config->empty()) made.config.reset();
  }
  e.tags = parse_tags(body, "tags");
  validate_tags(e.tags);
  e.description = get_string(body, "description").value_or("");
  check_length(utf8_length(e.description), 0, 4096, "description");
  e.budget_policy_id = get_string(body, "budget_policy_id").value_or("");
  if (get_object(body, "email_notifications")) {
    e.email_notifications = parse_notifications(body);
  }
  if (const json::object* gateway = get_object(body, "ai_gateway")) {
    set_ai_gateway(e, *gateway, "ai_gateway");
  }
  refuse_rate_limits(body, "");
  refuse_true(body, "route_optimized", "");
  // An empty endpoint drops telemetry_config without an error (1.2).
  if (made.config) refuse(body, "telemetry_config", "");
  if (get_string(body, "uc_system_metrics_export_state").value_or("") ==
      "FIRST_PARTY_EXPORT_ENABLED") {
    not_supported("uc_system_metrics_export_state");
  }
  if (const json::object* own = get_object(body, "tessera")) merge_settings(e.settings, *own);
  return made;
}

std::vector<Tag> parse_tags(const json::object& body, std::string_view field) {
  std::vector<Tag> tags;
  if (const json::array* list = get_array(body, field)) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      const std::string here = index_path(field, i);
      const json::object& tag = as_object((*list)[i], here);
      tags.push_back(
          {require_string(tag, "key", here), get_string(tag, "value", here).value_or("")});
    }
  }
  return tags;
}

std::optional<EmailNotifications> parse_notifications(const json::object& body) {
  const json::object* object = get_object(body, "email_notifications");
  if (!object) return std::nullopt;
  return EmailNotifications{parse_strings(*object, "on_update_success", "email_notifications"),
                            parse_strings(*object, "on_update_failure", "email_notifications")};
}

void set_ai_gateway(Endpoint& endpoint, const json::object& gateway, std::string_view path) {
  if (const json::object* rails = get_object(gateway, "guardrails", path)) {
    for (const auto& [side, parameters] : *rails) {
      if (!is_empty(parameters)) not_supported(join_path(path, "guardrails"));
    }
  }
  refuse(gateway, "rate_limits", path);
  refuse_enabled(gateway, "inference_table_config", path);
  auto enabled = [&](std::string_view field) -> std::optional<bool> {
    const json::object* config = get_object(gateway, field, path);
    if (!config) return std::nullopt;
    return get_bool(*config, "enabled", join_path(path, field)).value_or(false);
  };
  endpoint.usage_tracking = enabled("usage_tracking_config");
  endpoint.fallback_enabled = enabled("fallback_config").value_or(false);
}

void refuse_rate_limits(const json::object& body, std::string_view path) {
  refuse(body, "rate_limits", path);
}

void merge_settings(TesseraSettings& settings, const json::object& patch) {
  const std::string path = "tessera";
  for (const auto& [key, value] : patch) {
    const std::string here = join_path(path, key);
    if (key == "api_profile") {
      const std::string text = get_string(patch, key, path).value_or("databricks");
      const auto profile = parse_api_profile(text);
      if (!profile) {
        throw Error(ErrorKind::kInvalidParameterValue,
                    here + ": received " + quote_for_message(text) + ", want databricks or open.",
                    here);
      }
      settings.api_profile = *profile;
    } else if (key == "also_completions") {
      settings.also_completions = get_bool(patch, key, path);
    } else if (key == "max_model_len") {
      const auto length = get_int_or_digits(patch, key, path);
      if (length) check_range(*length, 1, 1 << 24, here);
      settings.max_model_len = length ? std::optional<int>(*length) : std::nullopt;
    } else {
      throw Error(ErrorKind::kInvalidParameterValue,
                  here + ": unknown setting, want api_profile, also_completions or max_model_len.",
                  here);
    }
  }
  settings.given = true;
}

json::array tags_json(const std::vector<Tag>& tags) {
  json::array list;
  for (const Tag& tag : tags) list.push_back({{"key", tag.key}, {"value", tag.value}});
  return list;
}

json::object notifications_json(const EmailNotifications& notifications) {
  json::object o;
  auto put_list = [&o](std::string_view key, const std::vector<std::string>& list) {
    if (!list.empty()) o[key] = json::array(list.begin(), list.end());
  };
  put_list("on_update_success", notifications.on_update_success);
  put_list("on_update_failure", notifications.on_update_failure);
  return o;
}

json::object ai_gateway_json(const Endpoint& endpoint) {
  json::object o;
  if (endpoint.usage_tracking) {
    o["usage_tracking_config"] = json::object{{"enabled", *endpoint.usage_tracking}};
  }
  if (endpoint.fallback_enabled) o["fallback_config"] = json::object{{"enabled", true}};
  return o;
}

json::object settings_json(const TesseraSettings& settings) {
  json::object o{{"api_profile", to_string(settings.api_profile)}};
  put(o, "also_completions", settings.also_completions);
  put(o, "max_model_len", settings.max_model_len);
  return o;
}

json::object endpoint_detailed(const Endpoint& endpoint, PermissionLevel callers_level) {
  json::object o = endpoint_head(endpoint, callers_level);
  if (endpoint.active) o["config"] = config_json(*endpoint.active);
  if (endpoint.pending) {
    json::object pending = config_json(*endpoint.pending);
    pending["start_time"] = endpoint.pending->start_time_ms;
    o["pending_config"] = std::move(pending);
  }
  if (endpoint.email_notifications) {
    o["email_notifications"] = notifications_json(*endpoint.email_notifications);
  }
  if (endpoint.settings.given) o["tessera"] = settings_json(endpoint.settings);
  return o;
}

json::object endpoint_summary(const Endpoint& endpoint, PermissionLevel callers_level) {
  json::object o = endpoint_head(endpoint, callers_level);
  const auto& config = endpoint.active ? endpoint.active : endpoint.pending;
  if (config) o["config"] = summary_config_json(*config);
  return o;
}

}  // namespace tessera::control
