#include "catalog/lifecycle.h"

#include <iterator>

namespace tessera::catalog {
namespace {

constexpr std::string_view kStates[] = {"active", "legacy", "deprecated", "redirect", "retired"};

Tombstone redirected(std::string name) {
  return {std::move(name),
          {LifecycleState::kRedirect, "", "databricks-meta-llama-3-3-70b-instruct"}};
}

}  // namespace

std::string_view to_string(LifecycleState state) { return kStates[static_cast<int>(state)]; }

std::optional<LifecycleState> parse_lifecycle_state(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kStates); ++i) {
    if (kStates[i] == text) return static_cast<LifecycleState>(i);
  }
  return std::nullopt;
}

const std::vector<Tombstone>& shipped_tombstones() {
  static const std::vector<Tombstone> tombstones = {
      redirected("databricks-llama-2-70b-chat"),
      redirected("databricks-mpt-7b-instruct"),
      redirected("databricks-mpt-30b-instruct"),
      redirected("databricks-meta-llama-3-70b-instruct"),
      redirected("databricks-meta-llama-3-1-70b-instruct"),
  };
  return tombstones;
}

std::string retired_message(const Tombstone& tombstone) {
  std::string message = "Endpoint '" + tombstone.name + "' has been retired.";
  if (!tombstone.lifecycle.replacement.empty()) {
    message += " Use '" + tombstone.lifecycle.replacement + "' instead.";
  }
  return message;
}

}  // namespace tessera::catalog
