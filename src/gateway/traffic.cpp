#include "gateway/traffic.h"

#include <algorithm>

namespace tessera::gateway {

std::uint64_t draw(std::string_view request_id) {
  // FNV-1a, then the finaliser of splitmix64 to spread its weak low bits.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : request_id) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

std::vector<const catalog::ServedEntity*> order_entities(const catalog::EndpointConfig& config,
                                                         std::uint64_t draw, bool fallback) {
  const auto counts = [&](const catalog::ServedEntity& entity) {
    return !fallback || entity.live();
  };
  std::uint64_t total = 0;
  for (const catalog::ServedEntity& entity : config.entities) {
    if (counts(entity)) total += config.traffic.percentage_of(entity.name);
  }
  const catalog::ServedEntity* chosen = nullptr;
  std::uint64_t rest = total == 0 ? 0 : draw % total;
  for (const catalog::ServedEntity& entity : config.entities) {
    if (!counts(entity)) continue;
    const std::uint64_t share = config.traffic.percentage_of(entity.name);
    if (rest < share) {
      chosen = &entity;
      break;
    }
    rest -= share;
  }
  std::vector<const catalog::ServedEntity*> order;
  if (chosen != nullptr) order.push_back(chosen);
  if (!fallback) return order;
  for (const catalog::ServedEntity& entity : config.entities) {
    if (&entity != chosen && entity.live()) order.push_back(&entity);
  }
  // Nobody is live: name the first, whose failure is then told.
  if (order.empty() && !config.entities.empty()) order.push_back(&config.entities.front());
  return order;
}

}  // namespace tessera::gateway
