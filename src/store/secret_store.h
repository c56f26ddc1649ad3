// Secret scopes, their sealed secrets and access lists. What is sealed and how is not its affair.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/secret.h"
#include "store/database.h"

namespace tessera::store {

class SecretStore {
 public:
  explicit SecretStore(Database& database) : database_(database) {}

  std::vector<catalog::SecretScope> scopes();
  std::optional<catalog::SecretScope> scope(std::string_view name);
  // Throws Error(kResourceAlreadyExists).
  void add_scope(const catalog::SecretScope& scope);
  bool remove_scope(std::string_view name);  // with all that is in it

  std::vector<catalog::SecretMetadata> secrets(std::string_view scope);
  std::optional<std::string> sealed(std::string_view scope, std::string_view key);
  void put(std::string_view scope, std::string_view key, std::string_view sealed,
           std::int64_t now_ms);
  bool remove(std::string_view scope, std::string_view key);

  void put_acl(std::string_view scope, const catalog::SecretAcl& acl);
  bool remove_acl(std::string_view scope, std::string_view principal);

 private:
  Database& database_;
};

}  // namespace tessera::store
