#include "gateway/models_list.h"

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::gateway {
namespace {

const catalog::ServedEntity* first_entity(const catalog::Endpoint& endpoint) {
  for (const auto* config : {&endpoint.active, &endpoint.pending}) {
    if (*config && !(*config)->entities.empty()) return &(*config)->entities.front();
  }
  return nullptr;
}

bool may_query(const catalog::Endpoint& endpoint, const catalog::Principal& principal) {
  return endpoint.level_of(principal) >= catalog::PermissionLevel::kCanQuery;
}

json::object model_object(const catalog::Endpoint& endpoint) {
  const catalog::ServedEntity* entity = first_entity(endpoint);
  const auto& lifecycle = endpoint.lifecycle;
  json::object object;
  object["id"] = endpoint.name;
  object["object"] = "model";
  object["created"] = endpoint.creation_timestamp_ms / 1000;
  object["owned_by"] =
      endpoint.preconfigured || endpoint.creator.empty() ? std::string("system") : endpoint.creator;
  object["task"] = nullptr;
  if (endpoint.task) {
    object["task"] = to_string(*endpoint.task);
  } else if (entity != nullptr) {
    object["task"] = to_string(entity->task);
  }
  object["endpoint_type"] = endpoint.endpoint_type();
  object["max_model_len"] = nullptr;
  if (entity != nullptr && entity->max_model_len) object["max_model_len"] = *entity->max_model_len;
  object["ready"] = endpoint.ready() ? "READY" : "NOT_READY";
  object["shutdown_date"] = nullptr;
  if (!lifecycle.retire_at.empty()) object["shutdown_date"] = lifecycle.retire_at;
  return object;
}

}  // namespace

std::string models_json(const catalog::Snapshot& snapshot, const catalog::Principal& principal) {
  json::array data;
  for (const auto& endpoint : snapshot.endpoints()) {
    if (may_query(*endpoint, principal)) data.push_back(model_object(*endpoint));
  }
  json::object list;
  list["object"] = "list";
  list["data"] = std::move(data);
  return to_json(list);
}

std::string model_json(const catalog::Snapshot& snapshot, const catalog::Principal& principal,
                       std::string_view name) {
  const catalog::Endpoint* endpoint = snapshot.find_endpoint(name);
  if (endpoint == nullptr) {
    throw Error(ErrorKind::kEndpointNotFound,
                "Endpoint with name " + quote_for_message(name) + " does not exist.", "model");
  }
  catalog::require_level(endpoint->level_of(principal), catalog::PermissionLevel::kCanQuery, name);
  return to_json(model_object(*endpoint));
}

}  // namespace tessera::gateway
