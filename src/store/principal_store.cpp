#include "store/principal_store.h"

#include <map>

namespace tessera::store {

using catalog::Principal;
using catalog::Token;

std::vector<Principal> PrincipalStore::load_principals() {
  Database::Session session(database_);
  std::map<std::int64_t, Principal> principals;
  auto query = session->prepare("SELECT id, kind, name, display_name, active FROM principals");
  while (query.step()) {
    Principal& principal = principals[query.integer(0)];
    principal.id = query.integer(0);
    principal.kind = query.text(1) == to_string(Principal::Kind::kServicePrincipal)
                         ? Principal::Kind::kServicePrincipal
                         : Principal::Kind::kUser;
    principal.name = query.text(2);
    principal.display_name = query.text(3);
    principal.active = query.integer(4) != 0;
    principal.groups = {std::string(catalog::kUsersGroup)};
  }
  auto members =
      session->prepare("SELECT principal_id, group_name FROM group_members ORDER BY group_name");
  while (members.step()) {
    auto it = principals.find(members.integer(0));
    if (it != principals.end()) it->second.groups.push_back(members.text(1));
  }
  std::vector<Principal> result;
  for (auto& [id, principal] : principals) result.push_back(std::move(principal));
  return result;
}

void PrincipalStore::save(const Principal& principal) {
  Database::Transaction transaction(database_);
  transaction
      ->prepare(
          "INSERT INTO principals (id, kind, name, display_name, active) "
          "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, "
          "name = excluded.name, display_name = excluded.display_name, active = excluded.active")
      .bind(principal.id, to_string(principal.kind), principal.name, principal.display_name,
            principal.active)
      .run();
  transaction->prepare("DELETE FROM group_members WHERE principal_id = $1")
      .bind(principal.id)
      .run();
  for (const std::string& group : principal.groups) {
    if (group == catalog::kUsersGroup) continue;  // everybody is a member
    transaction->prepare("INSERT INTO group_members VALUES ($1, $2)")
        .bind(group, principal.id)
        .run();
  }
  transaction.commit();
}

std::vector<Token> PrincipalStore::load_tokens() {
  Database::Session session(database_);
  std::vector<Token> tokens;
  auto query = session->prepare(
      "SELECT id, principal_id, comment, creation_time, expiry_time FROM tokens "
      "ORDER BY creation_time, id");
  while (query.step()) {
    tokens.push_back(
        {query.text(0), query.integer(1), query.text(2), query.integer(3), query.integer(4)});
  }
  return tokens;
}

void PrincipalStore::add_token(const Token& token) {
  Database::Session session(database_);
  session->prepare("INSERT INTO tokens VALUES ($1, $2, $3, $4, $5)")
      .bind(token.id, token.principal_id, token.comment, token.creation_time_ms,
            token.expiry_time_ms)
      .run();
}

bool PrincipalStore::remove_token(std::string_view id) {
  Database::Session session(database_);
  session->prepare("DELETE FROM tokens WHERE id = $1").bind(id).run();
  return session->changes() > 0;
}

}  // namespace tessera::store
