// Serving endpoints (control-plane 1.1): each handler parses, permits, acts, presents.
#include <algorithm>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "catalog/known_models.h"
#include "control/endpoint_json.h"
#include "control/endpoint_text.h"
#include "control/rollout.h"
#include "control/services.h"

namespace tessera::control {
namespace {

using namespace catalog;
using asio::awaitable;
using http::Request;
using http::Response;

http::Response detailed(const Endpoint& endpoint, const Caller& caller) {
  return answer(endpoint_detailed(endpoint, endpoint.level_of(*caller.principal)));
}

// What is fixed about a preconfigured endpoint.
void require_own_config(const Endpoint& endpoint, std::string_view what) {
  if (!endpoint.preconfigured) return;
  throw Error(
      ErrorKind::kPermissionDenied,
      "Endpoint '" + endpoint.name + "' is preconfigured; it cannot be " + std::string(what) + ".");
}

void require_version(const Request& request, const Endpoint& endpoint) {
  const auto header = request.headers.get("if-match");
  if (!header) return;
  std::string_view text = trim(*header);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  if (parse_int(text) == endpoint.last_config_version) return;
  throw Error(ErrorKind::kResourceConflict,
              "If-Match is " + quote_for_message(*header) + ", but the newest config_version of '" +
                  endpoint.name + "' is " + std::to_string(endpoint.last_config_version) + ".");
}

// One warning per external model whose name is known for another task.
std::vector<std::string> warnings_of(const ConfigChange& change) {
  std::vector<std::string> warnings;
  if (!change.entities) return warnings;
  for (const ServedEntity& entity : *change.entities) {
    if (!entity.external_model) continue;
    std::string warning = task_warning(*entity.external_model);
    if (warning.empty()) continue;
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

// Tells them to the caller and to the log.
Response warned(Response response, const std::string& endpoint,
                const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    log_warn("control", "unusual external model", {{"endpoint", endpoint}, {"warning", warning}});
  }
  if (!warnings.empty()) response.headers.set("x-tessera-warning", join(warnings, " "));
  return response;
}

awaitable<Response> list(Services&, Request, Caller caller) {
  json::array endpoints;
  for (const auto& endpoint : caller.snapshot->endpoints()) {
    const PermissionLevel level = endpoint->level_of(*caller.principal);
    if (level >= PermissionLevel::kCanView) {
      endpoints.push_back(endpoint_summary(*endpoint, level));
    }
  }
  co_return answer({{"endpoints", std::move(endpoints)}});
}

awaitable<Response> create_as(Services& s, Request request, Caller caller, bool pt) {
  NewEndpoint made = parse_new_endpoint(body_of(request), pt);
  Endpoint endpoint = std::move(made.endpoint);
  const Principal& creator = *caller.principal;
  endpoint.id = hex_encode(random_bytes(16));
  endpoint.creator = creator.name;
  endpoint.creator_display_name = creator.display_name;
  endpoint.creator_kind = creator.kind;
  endpoint.creation_timestamp_ms = endpoint.last_updated_timestamp_ms = now_ms();
  const bool service = creator.kind == Principal::Kind::kServicePrincipal;
  endpoint.acl = {{service ? AclEntry::Grantee::kServicePrincipal : AclEntry::Grantee::kUser,
                   creator.name, PermissionLevel::kCanManage}};
  std::vector<std::string> warnings;
  if (made.config) warnings = warnings_of(*made.config);
  Endpoint created = co_await s.thread.run([&] {
    if (s.table.find(endpoint.name)) {
      throw Error(ErrorKind::kResourceAlreadyExists,
                  "Endpoint with name '" + endpoint.name + "' already exists.");
    }
    if (made.config) {
      Rollout(s.models, s.vault, s.options)
          .begin(endpoint, std::move(*made.config), creator, endpoint.creation_timestamp_ms);
    }
    return s.table.add(std::move(endpoint));
  });
  co_return warned(detailed(created, caller), created.name, warnings);
}

awaitable<Response> create(Services& s, Request request, Caller caller) {
  return create_as(s, std::move(request), std::move(caller), false);
}

awaitable<Response> create_pt(Services& s, Request request, Caller caller) {
  return create_as(s, std::move(request), std::move(caller), true);
}

awaitable<Response> get(Services&, Request request, Caller caller) {
  co_return detailed(caller.endpoint(param(request, "name"), PermissionLevel::kCanView), caller);
}

awaitable<Response> remove(Services& s, Request request, Caller caller) {
  const std::string& name = param(request, "name");
  require_own_config(caller.endpoint(name, PermissionLevel::kCanManage), "deleted");
  co_await s.thread.run([&] { s.table.remove(name); });
  s.traffic.forget(name);
  co_return answer({});
}

awaitable<Response> put_config(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string& name = param(request, "name");
  require_own_config(caller.endpoint(name, PermissionLevel::kCanManage), "reconfigured");
  const bool clear = std::all_of(body.begin(), body.end(),
                                 [](const auto& field) { return field.key() == "name"; });
  ConfigChange change = parse_config(body, "");
  const std::vector<std::string> warnings = warnings_of(change);
  Endpoint updated = co_await s.thread.run([&] {
    return s.table.change(name, [&](Endpoint& endpoint) {
      require_version(request, endpoint);
      if (clear) {
        clear_config(endpoint, now_ms());
      } else {
        Rollout(s.models, s.vault, s.options)
            .begin(endpoint, std::move(change), *caller.principal, now_ms());
      }
    });
  });
  co_return warned(detailed(updated, caller), name, warnings);
}

awaitable<Response> put_pt_config(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string& name = param(request, "name");
  require_own_config(caller.endpoint(name, PermissionLevel::kCanManage), "reconfigured");
  ConfigChange change = parse_pt_config(require_object(body, "config"), "config");
  Endpoint updated = co_await s.thread.run([&] {
    return s.table.change(name, [&](Endpoint& endpoint) {
      require_version(request, endpoint);
      Rollout(s.models, s.vault, s.options)
          .begin(endpoint, std::move(change), *caller.principal, now_ms());
    });
  });
  co_return detailed(updated, caller);
}

awaitable<Response> switch_config(Services& s, Request request, Caller caller,
                                  void (*act)(Endpoint&, std::int64_t), std::string what) {
  const std::string& name = param(request, "name");
  require_own_config(caller.endpoint(name, PermissionLevel::kCanManage), what);
  Endpoint updated = co_await s.thread.run(
      [&] { return s.table.change(name, [&](Endpoint& endpoint) { act(endpoint, now_ms()); }); });
  co_return detailed(updated, caller);
}

awaitable<Response> stop_config(Services& s, Request request, Caller caller) {
  return switch_config(s, std::move(request), std::move(caller), &catalog::stop, "stopped");
}

awaitable<Response> start_config(Services& s, Request request, Caller caller) {
  return switch_config(s, std::move(request), std::move(caller), &catalog::start, "started");
}

awaitable<Response> put_rate_limits(Services&, Request request, Caller caller) {
  caller.endpoint(param(request, "name"), PermissionLevel::kCanManage);
  refuse_rate_limits(body_of(request), "");
  co_return answer({{"rate_limits", json::array()}});
}

awaitable<Response> put_ai_gateway(Services& s, Request request, Caller caller) {
  const std::string& name = param(request, "name");
  caller.endpoint(name, PermissionLevel::kCanManage);
  const json::object body = body_of(request);
  json::object gateway = co_await s.thread.run([&] {
    return ai_gateway_json(
        s.table.change(name, [&](Endpoint& endpoint) { set_ai_gateway(endpoint, body, ""); }));
  });
  co_return answer(gateway);
}

// Additions first, then deletions; the answer is sorted by key (1.2).
void patch_tag_list(std::vector<Tag>& tags, const std::vector<Tag>& added,
                    const std::vector<std::string>& deleted) {
  auto erase = [&tags](const std::string& key) {
    std::erase_if(tags, [&key](const Tag& tag) { return tag.key == key; });
  };
  for (const Tag& tag : added) {
    erase(tag.key);
    tags.push_back(tag);
  }
  for (const std::string& key : deleted) erase(key);
  std::sort(tags.begin(), tags.end(), [](const Tag& a, const Tag& b) { return a.key < b.key; });
  validate_tags(tags);
}

awaitable<Response> patch_tags(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string& name = param(request, "name");
  caller.endpoint(name, PermissionLevel::kCanManage);
  const std::vector<Tag> added = parse_tags(body, "add_tags");
  std::vector<std::string> deleted;
  if (const json::array* keys = get_array(body, "delete_tags")) {
    for (const auto& key : *keys) deleted.emplace_back(as_string(key, "delete_tags"));
  }
  json::array tags = co_await s.thread.run([&] {
    return tags_json(
        s.table
            .change(name,
                    [&](Endpoint& endpoint) { patch_tag_list(endpoint.tags, added, deleted); })
            .tags);
  });
  co_return answer({{"tags", std::move(tags)}});
}

awaitable<Response> patch_notifications(Services& s, Request request, Caller caller) {
  const std::string& name = param(request, "name");
  caller.endpoint(name, PermissionLevel::kCanManage);
  const std::optional<EmailNotifications> wanted = parse_notifications(body_of(request));
  co_await s.thread.run([&] {
    s.table.change(name, [&](Endpoint& endpoint) { endpoint.email_notifications = wanted; });
  });
  co_return answer(
      {{"name", name},
       {"email_notifications", notifications_json(wanted.value_or(EmailNotifications{}))}});
}

awaitable<Response> patch_telemetry(Services&, Request request, Caller caller) {
  const Endpoint& endpoint = caller.endpoint(param(request, "name"), PermissionLevel::kCanManage);
  require_not_updating(endpoint);
  const json::object body = body_of(request);
  const json::object* config = get_object(body, "telemetry_config");
  if (config && !config->empty()) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "telemetry_config: not supported yet; leave it out.", "telemetry_config");
  }
  co_return detailed(endpoint, caller);
}

awaitable<Response> patch_system_metrics(Services&, Request request, Caller caller) {
  const Endpoint& endpoint = caller.endpoint(param(request, "name"), PermissionLevel::kCanManage);
  const std::string field = "uc_system_metrics_export_state";
  const std::string state = get_string(body_of(request), field).value_or("");
  if (!state.empty() && state != "FIRST_PARTY_EXPORT_DISABLED") {
    throw Error(ErrorKind::kInvalidParameterValue,
                field + ": received " + quote_for_message(state) +
                    ", only FIRST_PARTY_EXPORT_DISABLED is supported yet.",
                field);
  }
  co_return detailed(endpoint, caller);
}

awaitable<Response> patch_settings(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string& name = param(request, "name");
  caller.endpoint(name, PermissionLevel::kCanManage);
  json::object settings = co_await s.thread.run([&] {
    return settings_json(
        s.table.change(name, [&](Endpoint& endpoint) { merge_settings(endpoint.settings, body); })
            .settings);
  });
  co_return answer(settings);
}

awaitable<Response> metrics(Services& s, Request request, Caller caller) {
  const Endpoint& endpoint = caller.endpoint(param(request, "name"), PermissionLevel::kCanView);
  constexpr std::string_view kOpenMetrics = "application/openmetrics-text";
  bool open = false;
  for (std::string_view header : {"accept", "content-type"}) {
    const auto value = request.headers.get(header);
    open = open || (value && value->find(kOpenMetrics) != std::string_view::npos);
  }
  Response response;
  response.headers.set("Content-Type", open ? std::string(kOpenMetrics) + "; version=1.0.0"
                                            : "text/plain; version=0.0.4; charset=utf-8");
  response.body = metrics_text(endpoint, s.traffic, s.supervisor, open, now_ms());
  co_return response;
}

awaitable<Response> openapi(Services& s, Request request, Caller caller) {
  const Endpoint& endpoint = caller.endpoint(param(request, "name"), PermissionLevel::kCanQuery);
  co_return answer(openapi_document(endpoint, s.options.host_url));
}

const ServedEntity& entity_of(const Endpoint& endpoint, const std::string& name) {
  for (const auto* config : {&endpoint.active, &endpoint.pending}) {
    const ServedEntity* entity = *config ? (*config)->find(name) : nullptr;
    if (!entity) continue;
    if (entity->kind == EntityKind::kExternalModel) {
      throw Error(ErrorKind::kInvalidParameterValue,
                  "Served entity '" + name + "' is an external model and has no logs.");
    }
    return *entity;
  }
  throw Error(ErrorKind::kEntityNotFound,
              "Endpoint '" + endpoint.name + "' has no served entity named '" + name + "'.");
}

awaitable<Response> build_logs(Services&, Request request, Caller caller) {
  const Endpoint& endpoint = caller.endpoint(param(request, "name"), PermissionLevel::kCanManage);
  const ServedEntity& entity = entity_of(endpoint, param(request, "entity"));
  co_return answer(
      {{"logs", "Nothing is built: the worker loads " + entity.source + " as it is.\n"}});
}

awaitable<Response> logs(Services& s, Request request, Caller caller) {
  const Endpoint& endpoint = caller.endpoint(param(request, "name"), PermissionLevel::kCanManage);
  const ServedEntity& entity = entity_of(endpoint, param(request, "entity"));
  co_return answer({{"logs", s.supervisor.logs(entity.id).value_or("")}});
}

awaitable<Response> optimization_info(Services& s, Request request, Caller) {
  const std::string &model = param(request, "model"), &version = param(request, "version");
  json::object info = co_await s.thread.run([&] {
    const Rollout rollout(s.models, s.vault, s.options);
    const ModelVersion found = rollout.version(model, version, "model");
    const auto facts = rollout.facts(found.storage_location);
    if (!facts) return json::object{{"optimizable", false}};
    return json::object{{"optimizable", true},
                        {"model_type", facts->architecture},
                        {"throughput_chunk_size", rollout.chunk_size()},
                        {"context_length", facts->context_length},
                        {"task", to_string(facts->task)}};
  });
  co_return answer(info);
}

}  // namespace

void mount_endpoints_api(ApiRoutes& routes, Services& s) {
  const std::string all = "/api/2.0/serving-endpoints", one = all + "/{name}";
  routes.add("GET", all, with(s, list));
  routes.add("POST", all, with(s, create));
  routes.add("GET", one, with(s, get));
  routes.add("DELETE", one, with(s, remove));
  routes.add("PUT", one + "/config", with(s, put_config));
  routes.add("POST", one + "/config:stop", with(s, stop_config));
  routes.add("POST", one + "/config:start", with(s, start_config));
  routes.add("PUT", one + "/rate-limits", with(s, put_rate_limits));
  routes.add("PUT", one + "/ai-gateway", with(s, put_ai_gateway));
  routes.add("PATCH", one + "/tags", with(s, patch_tags));
  routes.add("PATCH", one + "/notifications", with(s, patch_notifications));
  routes.add("PATCH", one + "/telemetry-config", with(s, patch_telemetry));
  routes.add("PATCH", one + "/system-metrics-export-state", with(s, patch_system_metrics));
  routes.add("PATCH", one + "/tessera", with(s, patch_settings));
  routes.add("GET", one + "/metrics", with(s, metrics));
  routes.add("GET", one + "/openapi", with(s, openapi));
  routes.add("GET", one + "/served-models/{entity}/build-logs", with(s, build_logs));
  routes.add("GET", one + "/served-models/{entity}/logs", with(s, logs));
  routes.add("POST", all + "/pt", with(s, create_pt));
  routes.add("PUT", all + "/pt/{name}/config", with(s, put_pt_config));
  routes.add("GET", all + "/get-model-optimization-info/{model}/{version}",
             with(s, optimization_info));
}

}  // namespace tessera::control
