#include "control/endpoint_table.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"

namespace tessera::control {

using namespace catalog;

namespace {

// What the processes of an earlier run said is no longer true.
void forget_processes(EndpointConfig& config) {
  for (ServedEntity& entity : config.entities) {
    if (entity.kind == EntityKind::kExternalModel || entity.source.empty()) continue;
    entity.deployment = Deployment::kCreating;
    entity.deployment_state_message = "Creating resources for served entity.";
  }
}

}  // namespace

void EndpointTable::load(std::int64_t now_ms) {
  for (Endpoint& endpoint : endpoint_store_.load_all()) {
    if (endpoint.active && !endpoint.suspended) forget_processes(*endpoint.active);
    if (endpoint.pending && endpoint.config_update == ConfigUpdate::kInProgress) {
      forget_processes(*endpoint.pending);
      endpoint.pending->start_time_ms = now_ms;
    }
    const std::string name = endpoint.name;
    endpoints_[name] = std::make_shared<const Endpoint>(std::move(endpoint));
  }
  for (Principal& principal : principal_store_.load_principals()) {
    const std::int64_t id = principal.id;
    principals_[id] = std::make_shared<const Principal>(std::move(principal));
  }
  tokens_ = principal_store_.load_tokens();
  changed();
}

const Endpoint* EndpointTable::find(std::string_view name) const {
  auto it = endpoints_.find(name);
  return it == endpoints_.end() ? nullptr : it->second.get();
}

const Endpoint& EndpointTable::get(std::string_view name) const {
  if (const Endpoint* endpoint = find(name)) return *endpoint;
  throw Error(ErrorKind::kEndpointNotFound,
              "Endpoint with name '" + std::string(name) + "' does not exist.");
}

std::vector<std::shared_ptr<const Endpoint>> EndpointTable::all() const {
  std::vector<std::shared_ptr<const Endpoint>> result;
  for (const auto& [name, endpoint] : endpoints_) result.push_back(endpoint);
  return result;
}

const Endpoint& EndpointTable::add(Endpoint endpoint) {
  if (find(endpoint.name)) {
    throw Error(ErrorKind::kResourceAlreadyExists,
                "Endpoint with name '" + endpoint.name + "' already exists.");
  }
  const std::string name = endpoint.name;
  endpoint_store_.save(endpoint);
  endpoints_[name] = std::make_shared<const Endpoint>(std::move(endpoint));
  changed();
  return get(name);
}

const Endpoint& EndpointTable::change(std::string_view name, const Act& act) {
  Endpoint next = get(name);
  act(next);
  endpoint_store_.save(next);
  endpoints_.find(name)->second = std::make_shared<const Endpoint>(std::move(next));
  changed();
  return get(name);
}

void EndpointTable::remove(std::string_view name) {
  endpoint_store_.remove(get(name).id);
  endpoints_.erase(endpoints_.find(name));
  changed();
}

void EndpointTable::refresh(const std::function<bool(Endpoint&)>& act) {
  bool any = false;
  for (auto& [name, entry] : endpoints_) {
    Endpoint next = *entry;
    if (!act(next)) continue;
    entry = std::make_shared<const Endpoint>(std::move(next));
    any = true;
  }
  if (any) changed();
}

void EndpointTable::report(const EntityReport& report, std::int64_t now_ms,
                           std::int64_t deadline_ms) {
  bool any = false;
  for (auto& [name, entry] : endpoints_) {
    auto concerns = [&report](const std::optional<EndpointConfig>& config) {
      return config && std::any_of(config->entities.begin(), config->entities.end(),
                                   [&](const ServedEntity& e) { return e.id == report.entity_id; });
    };
    if (!concerns(entry->active) && !concerns(entry->pending)) continue;
    Endpoint next = *entry;
    apply(next, report);
    const bool settled = settle(next, now_ms, deadline_ms);
    follow(entry, std::move(next), settled);
    any = true;
  }
  if (any) changed();
}

void EndpointTable::settle_all(std::int64_t now_ms, std::int64_t deadline_ms) {
  bool any = false;
  for (auto& [name, entry] : endpoints_) {
    if (entry->config_update != ConfigUpdate::kInProgress) continue;
    Endpoint next = *entry;
    if (!settle(next, now_ms, deadline_ms)) continue;
    follow(entry, std::move(next), true);
    any = true;
  }
  if (any) changed();
}

bool EndpointTable::settle(Endpoint& endpoint, std::int64_t now_ms, std::int64_t deadline_ms) {
  switch (catalog::settle(endpoint, now_ms, deadline_ms)) {
    case Settled::kNothing:
      return false;
    case Settled::kPromoted:
      log_info("control", "endpoint updated",
               {{"endpoint", endpoint.name}, {"config_version", endpoint.active->config_version}});
      return true;
    case Settled::kFailed:
      for (const ServedEntity& entity : endpoint.pending->entities) {
        log_warn("control", "endpoint update failed",
                 {{"endpoint", endpoint.name},
                  {"entity", entity.name},
                  {"state", to_string(entity.deployment)},
                  {"reason", entity.deployment_state_message}});
      }
      return true;
  }
  return false;
}

void EndpointTable::follow(Entry& entry, Endpoint next, bool save) {
  try {
    if (save) endpoint_store_.save(next);
  } catch (const Error& error) {
    log_error("control", "endpoint state could not be saved",
              {{"endpoint", next.name}, {"error", error.message}});
  }
  entry = std::make_shared<const Endpoint>(std::move(next));
}

const Principal* EndpointTable::find_principal(std::int64_t id) const {
  auto it = principals_.find(id);
  return it == principals_.end() ? nullptr : it->second.get();
}

const Principal* EndpointTable::find_principal(std::string_view name) const {
  for (const auto& [id, principal] : principals_) {
    if (principal->name == name) return principal.get();
  }
  return nullptr;
}

bool EndpointTable::has_group(std::string_view name) const {
  if (name == kUsersGroup || name == kAdminsGroup) return true;
  return std::any_of(principals_.begin(), principals_.end(),
                     [name](const auto& entry) { return entry.second->in_group(name); });
}

void EndpointTable::save(const Principal& principal) {
  principal_store_.save(principal);
  principals_[principal.id] = std::make_shared<const Principal>(principal);
  publish();
}

void EndpointTable::add_token(const Token& token) {
  principal_store_.add_token(token);
  tokens_.push_back(token);
  publish();
}

bool EndpointTable::remove_token(std::string_view id) {
  const bool removed = principal_store_.remove_token(id);
  std::erase_if(tokens_, [id](const Token& token) { return token.id == id; });
  publish();
  return removed;
}

std::vector<Token> EndpointTable::tokens_of(std::int64_t principal_id) const {
  std::vector<Token> result;
  for (const Token& token : tokens_) {
    if (token.principal_id == principal_id) result.push_back(token);
  }
  return result;
}

void EndpointTable::publish() {
  std::vector<TokenEntry> entries;
  entries.reserve(tokens_.size());
  for (const Token& token : tokens_) {
    if (auto it = principals_.find(token.principal_id); it != principals_.end()) {
      entries.push_back({token, it->second});
    }
  }
  holder_.publish(
      std::make_shared<const Snapshot>(all(), std::move(entries), shipped_tombstones()));
}

void EndpointTable::changed() {
  publish();
  if (on_change_) on_change_();
}

}  // namespace tessera::control
