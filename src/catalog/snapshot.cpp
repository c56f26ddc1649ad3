#include "catalog/snapshot.h"

#include <algorithm>

namespace tessera::catalog {
namespace {

template <class Map>
auto find(const Map& map, std::string_view key) -> typename Map::mapped_type {
  auto it = map.find(key);
  return it == map.end() ? nullptr : it->second;
}

}  // namespace

Snapshot::Snapshot(Endpoints endpoints, std::vector<TokenEntry> tokens,
                   std::vector<Tombstone> tombstones)
    : endpoints_(std::move(endpoints)),
      tokens_(std::move(tokens)),
      tombstones_(std::move(tombstones)) {
  std::sort(endpoints_.begin(), endpoints_.end(),
            [](const auto& a, const auto& b) { return a->name < b->name; });
  for (const auto& endpoint : endpoints_) {
    by_name_.emplace(endpoint->name, endpoint.get());
    if (!endpoint->id.empty()) by_id_.emplace(endpoint->id, endpoint.get());
  }
  for (const TokenEntry& entry : tokens_) by_token_.emplace(entry.token.id, &entry);
  for (const Tombstone& tombstone : tombstones_) {
    by_tombstone_.emplace(tombstone.name, &tombstone);
  }
}

const Endpoint* Snapshot::find_endpoint(std::string_view name) const {
  return find(by_name_, name);
}

const Endpoint* Snapshot::find_endpoint_by_id(std::string_view id) const {
  return find(by_id_, id);
}

const Tombstone* Snapshot::find_tombstone(std::string_view name) const {
  return find(by_tombstone_, name);
}

const TokenEntry* Snapshot::find_token(std::string_view sha256_hex) const {
  return find(by_token_, sha256_hex);
}

const Principal* Snapshot::authenticate(std::string_view sha256_hex, std::int64_t now_ms) const {
  const TokenEntry* entry = find_token(sha256_hex);
  if (!entry || entry->token.expired(now_ms) || !entry->principal->active) return nullptr;
  return entry->principal.get();
}

bool Snapshot::any_ready() const {
  return std::any_of(endpoints_.begin(), endpoints_.end(),
                     [](const auto& endpoint) { return endpoint->ready(); });
}

}  // namespace tessera::catalog
