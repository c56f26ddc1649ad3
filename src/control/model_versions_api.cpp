// Versions of registered models (control-plane 4.1, 4.3); the rules are in
// control/registry_rules.h.
#include <filesystem>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "control/paging.h"
#include "control/registry_json.h"
#include "control/registry_rules.h"
#include "control/rollout.h"

namespace tessera::control {
namespace {

using namespace catalog;
using asio::awaitable;
using http::Request;
using http::Response;

constexpr int kVersionPage = 100;

std::int64_t version_number(const Request& request) {
  const std::string& text = param(request, "version");
  const auto number = parse_int(text);
  if (!number || *number < 1) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "version: received " + quote_for_message(text) + ", want a number from 1.",
                "version");
  }
  return *number;
}

awaitable<Response> list_versions(Services& s, Request request, Caller) {
  const FullName name = model_name(request);
  const int size = page_size(request, kVersionPage);
  const std::string after = page_start(request);
  auto rows = co_await s.thread.run([&] {
    need_model(s, name);
    return s.models.versions(name, parse_int(after).value_or(0), size + 1);
  });
  co_return answer(page(
      std::move(rows), size, "model_versions",
      [&](const ModelVersion& v) { return version_json(v, s.workspace_id); },
      [](const ModelVersion& v) { return std::to_string(v.version); }));
}

awaitable<Response> create_version(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  ModelVersion v;
  v.catalog_name = parse_component(require_string(body, "catalog_name"), "catalog_name");
  v.schema_name = parse_component(require_string(body, "schema_name"), "schema_name");
  v.model_name = parse_component(require_string(body, "model_name"), "model_name");
  v.source = require_string(body, "source");
  v.storage_location = local_path_of(v.source, "source");
  v.run_id = get_string(body, "run_id").value_or("");
  v.comment = get_string(body, "comment").value_or("");
  caller.require_admin("register a version, which points at files of the server");
  born(v, caller);
  v.version = co_await s.thread.run([&] { return s.models.add(v); });
  co_return answer(version_json(v, s.workspace_id));
}

// Weights for a preconfigured endpoint have arrived: roll them out, unless one is under way.
void serve_preconfigured(Services& s, const ModelVersion& v) {
  const std::string full_name = v.catalog_name + "." + v.schema_name + "." + v.model_name;
  for (const auto& endpoint : s.table.all()) {
    if (!endpoint->preconfigured || !endpoint->active) continue;
    if (endpoint->active->entities.front().entity_name != full_name) continue;
    if (endpoint->config_update == ConfigUpdate::kInProgress) continue;
    s.table.change(endpoint->name, [&](Endpoint& next) {
      Rollout(s.models, s.vault, s.options).begin_preconfigured(next, v, now_ms());
    });
  }
}

awaitable<Response> finalize_version(Services& s, Request request, Caller caller) {
  const FullName name = model_name(request);
  const std::int64_t number = version_number(request);
  caller.require_admin("finalize a version");
  ModelVersion v = co_await s.thread.run([&] {
    ModelVersion found = need_version(s, name, number);
    if (found.status != VersionStatus::kPendingRegistration) {
      throw Error(ErrorKind::kInvalidState, "Version " + std::to_string(number) + " has status " +
                                                std::string(to_string(found.status)) +
                                                ", want PENDING_REGISTRATION.");
    }
    std::error_code error;
    const bool there = std::filesystem::exists(found.storage_location, error);
    found.status = there ? VersionStatus::kReady : VersionStatus::kFailedRegistration;
    touched(found, caller);
    s.models.update(found);
    if (there) serve_preconfigured(s, found);
    return found;
  });
  co_return answer(version_json(v, s.workspace_id));
}

awaitable<Response> get_version(Services& s, Request request, Caller) {
  const FullName name = model_name(request);
  const std::int64_t number = version_number(request);
  json::object o = co_await s.thread.run([&] {
    const RegisteredModel model = need_model(s, name);
    const bool aliases = request.query_value("include_aliases") == "true";
    return version_json(need_version(s, name, number), s.workspace_id, aliases ? &model : nullptr);
  });
  co_return answer(o);
}

awaitable<Response> patch_version(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const FullName name = model_name(request);
  const std::int64_t number = version_number(request);
  ModelVersion v = co_await s.thread.run([&] {
    ModelVersion found = need_version(s, name, number);
    const RegisteredModel model = need_model(s, name);
    require_owner(caller, model.owner, name.catalog, model.full_name());
    if (auto comment = get_string(body, "comment")) found.comment = *comment;
    touched(found, caller);
    s.models.update(found);
    return found;
  });
  co_return answer(version_json(v, s.workspace_id));
}

awaitable<Response> delete_version(Services& s, Request request, Caller caller) {
  const FullName name = model_name(request);
  const std::int64_t number = version_number(request);
  co_await s.thread.run([&] {
    need_version(s, name, number);
    const RegisteredModel model = need_model(s, name);
    require_owner(caller, model.owner, name.catalog, model.full_name());
    s.models.remove_version(name, number);
  });
  co_return answer({});
}

}  // namespace

void mount_model_versions(ApiRoutes& routes, Services& s) {
  const std::string models = kRegistryBase + "/models", model = models + "/{full_name}";
  const std::string version = model + "/versions/{version}";
  routes.add("POST", models + "/versions", with(s, create_version));
  routes.add("GET", model + "/versions", with(s, list_versions));
  routes.add("GET", version, with(s, get_version));
  routes.add("PATCH", version, with(s, patch_version));
  routes.add("DELETE", version, with(s, delete_version));
  routes.add("PATCH", version + "/finalize", with(s, finalize_version));
}

}  // namespace tessera::control
