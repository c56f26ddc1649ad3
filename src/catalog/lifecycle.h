// Retirement of endpoints (data-plane 8.4).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::catalog {

enum class LifecycleState { kActive, kLegacy, kDeprecated, kRedirect, kRetired };

std::string_view to_string(LifecycleState state);  // "active", …
std::optional<LifecycleState> parse_lifecycle_state(std::string_view text);

struct Lifecycle {
  LifecycleState state = LifecycleState::kActive;
  std::string retire_at;    // ISO date; empty: none
  std::string replacement;  // endpoint name; empty: none
  bool operator==(const Lifecycle&) const = default;
};

// A name that once was an endpoint. A request to it is redirected to the replacement while that one
// is READY and has the same task; else it gets 404 endpoint_retired naming the replacement.
struct Tombstone {
  std::string name;
  Lifecycle lifecycle;
};

// The retired names that every installation knows.
const std::vector<Tombstone>& shipped_tombstones();

// "Endpoint 'x' has been retired. Use 'y' instead."
std::string retired_message(const Tombstone& tombstone);

}  // namespace tessera::catalog
