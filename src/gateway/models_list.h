// GET …/models: the endpoints as OpenAI clients list them (data-plane 1.2).
#pragma once

#include <string>
#include <string_view>

#include "catalog/snapshot.h"

namespace tessera::gateway {

// Those that the principal may query, by name.
std::string models_json(const catalog::Snapshot& snapshot, const catalog::Principal& principal);
// One of them; throws Error(kEndpointNotFound).
std::string model_json(const catalog::Snapshot& snapshot, const catalog::Principal& principal,
                       std::string_view name);

}  // namespace tessera::gateway
