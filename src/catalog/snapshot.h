// What the gateway knows: an immutable picture of endpoints, tokens and retired names.
//
// Control builds and publishes snapshots; a request takes one and keeps it to its end. All lookups
// are hash lookups by string_view, without allocation.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "catalog/endpoint.h"
#include "catalog/principal.h"

namespace tessera::catalog {

struct TokenEntry {
  Token token;
  std::shared_ptr<const Principal> principal;
};

class Snapshot {
 public:
  using Endpoints = std::vector<std::shared_ptr<const Endpoint>>;

  Snapshot() = default;
  Snapshot(Endpoints endpoints, std::vector<TokenEntry> tokens, std::vector<Tombstone> tombstones);
  Snapshot(const Snapshot&) = delete;  // the maps point into the vectors
  Snapshot& operator=(const Snapshot&) = delete;

  const Endpoint* find_endpoint(std::string_view name) const;
  const Endpoint* find_endpoint_by_id(std::string_view id) const;
  // By name.
  const Endpoints& endpoints() const { return endpoints_; }
  const Tombstone* find_tombstone(std::string_view name) const;
  // `sha256_hex`: lower-case hex SHA-256 of the token's text. Null when unknown, expired, or of an
  // inactive principal.
  const Principal* authenticate(std::string_view sha256_hex, std::int64_t now_ms) const;
  const TokenEntry* find_token(std::string_view sha256_hex) const;
  // At least one endpoint can answer.
  bool any_ready() const;

 private:
  Endpoints endpoints_;
  std::vector<TokenEntry> tokens_;
  std::vector<Tombstone> tombstones_;
  std::unordered_map<std::string_view, const Endpoint*> by_name_, by_id_;
  std::unordered_map<std::string_view, const TokenEntry*> by_token_;
  std::unordered_map<std::string_view, const Tombstone*> by_tombstone_;
};

// Where the newest snapshot hangs. Never null. Any thread. (A mutex held for one pointer copy:
// libstdc++ 12's atomic<shared_ptr> is a spin lock that thread sanitizer cannot see through.)
class SnapshotHolder {
 public:
  SnapshotHolder() : current_(std::make_shared<const Snapshot>()) {}
  std::shared_ptr<const Snapshot> get() const {
    std::lock_guard lock(mutex_);
    return current_;
  }
  void publish(std::shared_ptr<const Snapshot> next) {
    std::lock_guard lock(mutex_);
    current_.swap(next);  // the old one is released outside the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> current_;  // guarded by mutex_
};

}  // namespace tessera::catalog
