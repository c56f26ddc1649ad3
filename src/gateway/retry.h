// When a failed call of a provider is worth another one, and how long to wait for it
// (external-providers 1.12).
#pragma once

#include <chrono>
#include <optional>

#include "base/error.h"

namespace tessera::gateway {

// `tried`: calls so far, from 1. `random`: 0 to 1. nullopt: give up, either because the error would
// be the same or because the provider wants more than a minute of patience. The number of tries is
// the caller's affair.
std::optional<std::chrono::milliseconds> retry_delay(const Error& error, int tried, double random);

}  // namespace tessera::gateway
