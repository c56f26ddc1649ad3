// Principals, their groups, and tokens.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "catalog/principal.h"
#include "store/database.h"

namespace tessera::store {

class PrincipalStore {
 public:
  explicit PrincipalStore(Database& database) : database_(database) {}

  std::vector<catalog::Principal> load_principals();  // groups filled, kUsersGroup included
  // Inserts or replaces, by id, with groups.
  void save(const catalog::Principal& principal);

  std::vector<catalog::Token> load_tokens();
  void add_token(const catalog::Token& token);
  bool remove_token(std::string_view id);  // false: there was none

 private:
  Database& database_;
};

}  // namespace tessera::store
