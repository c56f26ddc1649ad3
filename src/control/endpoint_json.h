// Endpoints in the JSON of the serving-endpoints API (control-plane 1.2–1.9), both directions.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "catalog/endpoint.h"

namespace tessera::control {

namespace json = boost::json;

// --- In. All throw Error naming the field. Unknown fields are ignored, except in `tessera`. ---

// PUT config, and `config` of create. `path` is "" or "config".
catalog::ConfigChange parse_config(const json::object& body, std::string_view path);
// The same for provisioned throughput by model units (1.7): PtServedModel[].
catalog::ConfigChange parse_pt_config(const json::object& body, std::string_view path);

// Create. The endpoint has no config, id, creator or times yet.
struct NewEndpoint {
  catalog::Endpoint endpoint;
  std::optional<catalog::ConfigChange> config;
};
NewEndpoint parse_new_endpoint(const json::object& body, bool provisioned_throughput);

std::vector<catalog::Tag> parse_tags(const json::object& body, std::string_view field);
// nullopt: absent or empty, which clears them.
std::optional<catalog::EmailNotifications> parse_notifications(const json::object& body);
// Replaces the endpoint's gateway settings; `{}` clears them. What this version cannot enforce is
// refused with Error naming the field.
void set_ai_gateway(catalog::Endpoint& endpoint, const json::object& gateway,
                    std::string_view path);
// Throws when any limit is given.
void refuse_rate_limits(const json::object& body, std::string_view path);
// A JSON merge patch; an unknown key is an error.
void merge_settings(catalog::TesseraSettings& settings, const json::object& patch);

// --- Out. ---

json::object endpoint_detailed(const catalog::Endpoint& endpoint,
                               catalog::PermissionLevel callers_level);
json::object endpoint_summary(const catalog::Endpoint& endpoint,
                              catalog::PermissionLevel callers_level);
json::array tags_json(const std::vector<catalog::Tag>& tags);
json::object notifications_json(const catalog::EmailNotifications& notifications);
json::object ai_gateway_json(const catalog::Endpoint& endpoint);
json::object settings_json(const catalog::TesseraSettings& settings);

}  // namespace tessera::control
