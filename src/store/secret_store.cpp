#include "store/secret_store.h"

namespace tessera::store {

using catalog::SecretAcl;
using catalog::SecretMetadata;
using catalog::SecretPermission;
using catalog::SecretScope;

namespace {

// Columns principal and permission, the former being number `first`.
SecretAcl acl_from(const Statement& row, int first) {
  return {row.text(first),
          catalog::parse_secret_permission(row.text(first + 1)).value_or(SecretPermission::kNone)};
}

}  // namespace

std::vector<SecretScope> SecretStore::scopes() {
  Database::Session session(database_);
  std::vector<SecretScope> scopes;
  auto query =
      session->prepare("SELECT name, created_at, created_by FROM secret_scopes ORDER BY name");
  while (query.step()) scopes.push_back({query.text(0), query.integer(1), query.text(2), {}});
  auto acls =
      session->prepare("SELECT scope, principal, permission FROM secret_acls ORDER BY principal");
  while (acls.step()) {
    const std::string name = acls.text(0);
    for (SecretScope& scope : scopes) {
      if (scope.name != name) continue;
      scope.acls.push_back(acl_from(acls, 1));
    }
  }
  return scopes;
}

std::optional<SecretScope> SecretStore::scope(std::string_view name) {
  Database::Session session(database_);
  auto query =
      session->prepare("SELECT name, created_at, created_by FROM secret_scopes WHERE name = $1");
  query.bind(name);
  if (!query.step()) return std::nullopt;
  SecretScope scope{query.text(0), query.integer(1), query.text(2), {}};
  auto acls = session->prepare(
      "SELECT principal, permission FROM secret_acls WHERE scope = $1 ORDER BY principal");
  acls.bind(name);
  while (acls.step()) scope.acls.push_back(acl_from(acls, 0));
  return scope;
}

void SecretStore::add_scope(const SecretScope& scope) {
  Database::Transaction transaction(database_);
  transaction->prepare("INSERT INTO secret_scopes VALUES ($1, $2, $3)")
      .bind(scope.name, scope.created_at_ms, scope.created_by)
      .run();
  for (const SecretAcl& acl : scope.acls) {
    transaction->prepare("INSERT INTO secret_acls VALUES ($1, $2, $3)")
        .bind(scope.name, acl.principal, to_string(acl.permission))
        .run();
  }
  transaction.commit();
}

bool SecretStore::remove_scope(std::string_view name) {
  Database::Session session(database_);
  session->prepare("DELETE FROM secret_scopes WHERE name = $1").bind(name).run();
  return session->changes() > 0;
}

std::vector<SecretMetadata> SecretStore::secrets(std::string_view scope) {
  Database::Session session(database_);
  std::vector<SecretMetadata> secrets;
  auto query =
      session->prepare("SELECT key, last_updated FROM secrets WHERE scope = $1 ORDER BY key");
  query.bind(scope);
  while (query.step()) secrets.push_back({query.text(0), query.integer(1)});
  return secrets;
}

std::optional<std::string> SecretStore::sealed(std::string_view scope, std::string_view key) {
  Database::Session session(database_);
  auto query = session->prepare("SELECT sealed FROM secrets WHERE scope = $1 AND key = $2");
  query.bind(scope, key);
  if (!query.step()) return std::nullopt;
  return query.text(0);
}

void SecretStore::put(std::string_view scope, std::string_view key, std::string_view sealed,
                      std::int64_t now_ms) {
  Database::Session session(database_);
  session
      ->prepare(
          "INSERT INTO secrets (scope, key, sealed, last_updated) VALUES ($1, $2, $3, $4) "
          "ON CONFLICT (scope, key) DO UPDATE SET sealed = excluded.sealed, "
          "last_updated = excluded.last_updated")
      .bind(scope, key, sealed, now_ms)
      .run();
}

bool SecretStore::remove(std::string_view scope, std::string_view key) {
  Database::Session session(database_);
  session->prepare("DELETE FROM secrets WHERE scope = $1 AND key = $2").bind(scope, key).run();
  return session->changes() > 0;
}

void SecretStore::put_acl(std::string_view scope, const SecretAcl& acl) {
  Database::Session session(database_);
  session
      ->prepare(
          "INSERT INTO secret_acls (scope, principal, permission) VALUES ($1, $2, $3) "
          "ON CONFLICT (scope, principal) DO UPDATE SET permission = excluded.permission")
      .bind(scope, acl.principal, to_string(acl.permission))
      .run();
}

bool SecretStore::remove_acl(std::string_view scope, std::string_view principal) {
  Database::Session session(database_);
  session->prepare("DELETE FROM secret_acls WHERE scope = $1 AND principal = $2")
      .bind(scope, principal)
      .run();
  return session->changes() > 0;
}

}  // namespace tessera::store
