// How requests are split among the served entities (control-plane 1.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::catalog {

struct ServedEntity;

struct Route {
  std::string served_entity_name;
  int traffic_percentage = 0;
  bool operator==(const Route&) const = default;
};

struct TrafficConfig {
  std::vector<Route> routes;
  int percentage_of(std::string_view entity_name) const;  // 0 without a route
  bool operator==(const TrafficConfig&) const = default;
};

// Percentages within 0–100 that sum to 100, each target once and among the entities. Throws
// Error(kInvalidParameterValue).
void validate(const TrafficConfig& traffic, const std::vector<ServedEntity>& entities);

}  // namespace tessera::catalog
