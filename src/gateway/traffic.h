// Which served entity takes a request (data-plane 6.6, 6.7).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "catalog/endpoint.h"

namespace tessera::gateway {

// A number drawn from a request's id: the same id is routed the same way.
std::uint64_t draw(std::string_view request_id);

// The entities to try, in order. Without fallback it is the drawn one; with it, the others follow
// in configured order, those without traffic too, and entities that cannot take a request now are
// left out as long as another one can. Never empty for a config that has traffic.
std::vector<const catalog::ServedEntity*> order_entities(const catalog::EndpointConfig& config,
                                                         std::uint64_t draw, bool fallback);

}  // namespace tessera::gateway
