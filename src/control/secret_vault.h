// Secrets at rest: sealed with AES-256-GCM under the server's key, opened for the gateway's
// snapshot and for the secrets API. On the control thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "catalog/endpoint.h"
#include "store/secret_store.h"

namespace tessera::control {

// 32 bytes: from the environment variable TESSERA_SECRET_KEY (64 hexadecimal digits), else from
// `file`, which is made with a random key, readable by its owner only, when there is none. Throws
// Error(kBadConfiguration) naming the variable or the file.
std::string secret_key(const std::filesystem::path& file);

class SecretVault {
 public:
  SecretVault(store::SecretStore& store, std::string key) : store_(store), key_(std::move(key)) {}

  // --- Secrets of scopes ---
  void put(std::string_view scope, std::string_view key, std::string_view value,
           std::int64_t now_ms);
  // Throws Error(kResourceDoesNotExist) for a scope or key that is not there.
  std::string get(std::string_view scope, std::string_view key) const;

  // --- Secrets of external models ---
  // Takes over from `old` what `entity` leaves out, seals what came in plaintext, and opens
  // references; `path` is that of the entity. Throws Error(kResourceDoesNotExist) for a reference
  // to nothing and Error(kPermissionDenied) when `principal` may not read its scope.
  void adopt(catalog::ServedEntity& entity, const catalog::Endpoint& old,
             const catalog::Principal& principal, const std::string& path) const;
  // Fills in the values of all secrets of the endpoint's models, after a start or when a scope's
  // secret changed. One that cannot be opened is logged and stays empty. True: something changed.
  bool open(catalog::Endpoint& endpoint) const;

 private:
  std::string seal_text(std::string_view value, std::string_view context) const;
  std::string open_text(std::string_view sealed, std::string_view context) const;
  std::string value_of(const catalog::SecretField& field, const std::string& context) const;

  store::SecretStore& store_;
  std::string key_;
};

}  // namespace tessera::control
