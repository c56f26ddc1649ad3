#include "store/endpoint_document.h"

#include "base/error.h"
#include "base/json.h"

namespace tessera::store {
namespace {

using namespace catalog;

template <class T>
void put(json::object& object, std::string_view key, const std::optional<T>& value) {
  if (value) object[key] = *value;
}

void put(json::object& object, std::string_view key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}

json::object write_map(const std::map<std::string, std::string>& map) {
  json::object object;
  for (const auto& [key, value] : map) object[key] = value;
  return object;
}

std::map<std::string, std::string> read_map(const json::object& object, std::string_view field) {
  std::map<std::string, std::string> map;
  if (const json::object* found = get_object(object, field)) {
    for (const auto& [key, value] : *found) map[key] = as_string(value, key);
  }
  return map;
}

// What a secret is called or sealed as; its value stays out.
json::object write_secrets(const std::map<std::string, SecretField>& secrets) {
  json::object object;
  for (const auto& [name, secret] : secrets) {
    object[name] = secret.reference.empty() ? json::object{{"sealed", secret.sealed}}
                                            : json::object{{"reference", secret.reference}};
  }
  return object;
}

std::map<std::string, SecretField> read_secrets(const json::object& external) {
  std::map<std::string, SecretField> secrets;
  if (const json::object* found = get_object(external, "secrets")) {
    for (const auto& [name, value] : *found) {
      const json::object& secret = as_object(value, name);
      secrets[name] = {get_string(secret, "reference").value_or(""),
                       get_string(secret, "sealed").value_or(""),
                       {}};
    }
  }
  return secrets;
}

json::array write_strings(const std::vector<std::string>& strings) {
  return json::array(strings.begin(), strings.end());
}

std::vector<std::string> read_strings(const json::object& object, std::string_view field) {
  std::vector<std::string> strings;
  if (const json::array* found = get_array(object, field)) {
    for (const auto& value : *found) strings.emplace_back(as_string(value, field));
  }
  return strings;
}

json::object write_entity(const ServedEntity& e) {
  json::object o;
  o["name"] = e.name;
  o["id"] = e.id;
  o["kind"] = to_string(e.kind);
  put(o, "entity_name", e.entity_name);
  put(o, "entity_version", e.entity_version);
  if (e.external_model) {
    o["external_model"] = {{"provider", e.external_model->provider},
                           {"name", e.external_model->name},
                           {"task", to_string(e.external_model->task)},
                           {"config", write_map(e.external_model->config)},
                           {"secrets", write_secrets(e.external_model->secrets)}};
  }
  put(o, "workload_type", e.workload_type);
  put(o, "workload_size", e.workload_size);
  put(o, "min_provisioned_concurrency", e.min_provisioned_concurrency);
  put(o, "max_provisioned_concurrency", e.max_provisioned_concurrency);
  o["scale_to_zero_enabled"] = e.scale_to_zero_enabled;
  put(o, "min_provisioned_throughput", e.min_provisioned_throughput);
  put(o, "max_provisioned_throughput", e.max_provisioned_throughput);
  put(o, "provisioned_model_units", e.provisioned_model_units);
  o["burst_scaling_enabled"] = e.burst_scaling_enabled;
  if (!e.environment_vars.empty()) o["environment_vars"] = write_map(e.environment_vars);
  put(o, "instance_profile_arn", e.instance_profile_arn);
  put(o, "creator", e.creator);
  o["creation_timestamp"] = e.creation_timestamp_ms;
  put(o, "source", e.source);
  o["task"] = to_string(e.task);
  put(o, "model_id", e.model_id);
  put(o, "max_model_len", e.max_model_len);
  if (e.foundation_model) {
    o["foundation_model"] = {{"name", e.foundation_model->name},
                             {"display_name", e.foundation_model->display_name},
                             {"docs", e.foundation_model->docs},
                             {"description", e.foundation_model->description}};
  }
  o["deployment"] = to_string(e.deployment);
  put(o, "deployment_state_message", e.deployment_state_message);
  return o;
}

EntityKind read_kind(std::string_view text) {
  if (text == to_string(EntityKind::kExternalModel)) return EntityKind::kExternalModel;
  if (text == to_string(EntityKind::kFoundationModel)) return EntityKind::kFoundationModel;
  return EntityKind::kRegisteredModel;
}

ServedEntity read_entity(const json::object& o) {
  ServedEntity e;
  auto text = [&o](std::string_view field) { return get_string(o, field).value_or(""); };
  e.name = require_string(o, "name");
  e.id = text("id");
  e.kind = read_kind(text("kind"));
  e.entity_name = text("entity_name");
  e.entity_version = text("entity_version");
  if (const json::object* external = get_object(o, "external_model")) {
    e.external_model =
        ExternalModel{require_string(*external, "provider"), require_string(*external, "name"),
                      parse_task(require_string(*external, "task")).value_or(Task::kChat),
                      read_map(*external, "config"), read_secrets(*external)};
  }
  e.workload_type = text("workload_type");
  e.workload_size = text("workload_size");
  e.min_provisioned_concurrency = get_int(o, "min_provisioned_concurrency");
  e.max_provisioned_concurrency = get_int(o, "max_provisioned_concurrency");
  e.scale_to_zero_enabled = get_bool(o, "scale_to_zero_enabled").value_or(false);
  e.min_provisioned_throughput = get_int(o, "min_provisioned_throughput");
  e.max_provisioned_throughput = get_int(o, "max_provisioned_throughput");
  e.provisioned_model_units = get_int(o, "provisioned_model_units");
  e.burst_scaling_enabled = get_bool(o, "burst_scaling_enabled").value_or(true);
  e.environment_vars = read_map(o, "environment_vars");
  e.instance_profile_arn = text("instance_profile_arn");
  e.creator = text("creator");
  e.creation_timestamp_ms = get_int(o, "creation_timestamp").value_or(0);
  e.source = text("source");
  e.task = parse_task(text("task")).value_or(Task::kChat);
  e.model_id = text("model_id");
  if (auto length = get_int(o, "max_model_len")) e.max_model_len = static_cast<int>(*length);
  if (const json::object* model = get_object(o, "foundation_model")) {
    auto part = [model](std::string_view field) { return get_string(*model, field).value_or(""); };
    e.foundation_model =
        FoundationModel{part("name"), part("display_name"), part("docs"), part("description")};
  }
  e.deployment = parse_deployment(text("deployment")).value_or(Deployment::kCreating);
  e.deployment_state_message = text("deployment_state_message");
  return e;
}

template <class F>
auto reading(F read) {
  try {
    return read();
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadConfiguration,
                "The database holds a document that cannot be read: " + error.message);
  }
}

}  // namespace

std::string write_config(const EndpointConfig& config) {
  json::array entities, routes;
  for (const ServedEntity& entity : config.entities) entities.push_back(write_entity(entity));
  for (const Route& route : config.traffic.routes) {
    routes.push_back({{"served_entity_name", route.served_entity_name},
                      {"traffic_percentage", route.traffic_percentage}});
  }
  return to_json(json::object{{"served_entities", entities}, {"routes", routes}});
}

EndpointConfig read_config(std::string_view document) {
  return reading([&] {
    const json::object o = parse_json_object(document);
    EndpointConfig config;
    for (const auto& entity : require_array(o, "served_entities")) {
      config.entities.push_back(read_entity(as_object(entity, "served_entities")));
    }
    for (const auto& value : require_array(o, "routes")) {
      const json::object& route = as_object(value, "routes");
      config.traffic.routes.push_back({require_string(route, "served_entity_name"),
                                       static_cast<int>(require_int(route, "traffic_percentage"))});
    }
    return config;
  });
}

std::string write_details(const Endpoint& endpoint) {
  json::object o;
  json::array tags;
  for (const Tag& tag : endpoint.tags) tags.push_back({{"key", tag.key}, {"value", tag.value}});
  o["tags"] = std::move(tags);
  put(o, "budget_policy_id", endpoint.budget_policy_id);
  o["route_optimized"] = endpoint.route_optimized;
  if (endpoint.email_notifications) {
    o["email_notifications"] = {
        {"on_update_success", write_strings(endpoint.email_notifications->on_update_success)},
        {"on_update_failure", write_strings(endpoint.email_notifications->on_update_failure)}};
  }
  put(o, "usage_tracking", endpoint.usage_tracking);
  if (endpoint.fallback_enabled) o["fallback_enabled"] = true;
  const TesseraSettings& settings = endpoint.settings;
  if (settings.given) {
    json::object own{{"api_profile", to_string(settings.api_profile)}};
    put(own, "also_completions", settings.also_completions);
    put(own, "max_model_len", settings.max_model_len);
    o["tessera"] = std::move(own);
  }
  if (endpoint.lifecycle.state != LifecycleState::kActive) {
    o["lifecycle"] = {{"state", to_string(endpoint.lifecycle.state)},
                      {"retire_at", endpoint.lifecycle.retire_at},
                      {"replacement", endpoint.lifecycle.replacement}};
  }
  return to_json(o);
}

void read_details(std::string_view document, Endpoint& endpoint) {
  reading([&] {
    const json::object o = parse_json_object(document);
    if (const json::array* tags = get_array(o, "tags")) {
      for (const auto& tag : *tags) {
        endpoint.tags.push_back({require_string(as_object(tag, "tags"), "key"),
                                 get_string(as_object(tag, "tags"), "value").value_or("")});
      }
    }
    endpoint.budget_policy_id = get_string(o, "budget_policy_id").value_or("");
    endpoint.route_optimized = get_bool(o, "route_optimized").value_or(false);
    if (const json::object* mails = get_object(o, "email_notifications")) {
      endpoint.email_notifications = EmailNotifications{read_strings(*mails, "on_update_success"),
                                                        read_strings(*mails, "on_update_failure")};
    }
    endpoint.usage_tracking = get_bool(o, "usage_tracking");
    endpoint.fallback_enabled = get_bool(o, "fallback_enabled").value_or(false);
    if (const json::object* own = get_object(o, "tessera")) {
      TesseraSettings& settings = endpoint.settings;
      settings.given = true;
      settings.api_profile = parse_api_profile(get_string(*own, "api_profile").value_or(""))
                                 .value_or(ApiProfile::kDatabricks);
      settings.also_completions = get_bool(*own, "also_completions");
      if (auto length = get_int(*own, "max_model_len")) {
        settings.max_model_len = static_cast<int>(*length);
      }
    }
    if (const json::object* lifecycle = get_object(o, "lifecycle")) {
      endpoint.lifecycle = {parse_lifecycle_state(get_string(*lifecycle, "state").value_or(""))
                                .value_or(LifecycleState::kActive),
                            get_string(*lifecycle, "retire_at").value_or(""),
                            get_string(*lifecycle, "replacement").value_or("")};
    }
    return 0;
  });
}

}  // namespace tessera::store
