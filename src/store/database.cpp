#include "store/database.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/migrations.h"

namespace tessera::store {

Database::Transaction::Transaction(Database& database) : session_(database) {
  // IMMEDIATE takes the write lock now, so that no statement inside can fail for want of it.
  session_->execute("BEGIN IMMEDIATE");
}

Database::Transaction::~Transaction() {
  if (!open_) return;
  try {
    session_->execute("ROLLBACK");
  } catch (const Error&) {
    // SQLite rolled back by itself, as it does when the disk is full.
  }
}

void Database::Transaction::commit() {
  session_->execute("COMMIT");
  open_ = false;
}

Database::Database(const DatabaseOptions& options)
    : connection_(options.path, options.busy_timeout_ms) {
  migrate();
}

void Database::migrate() {
  Transaction transaction(*this);
  transaction->execute(
      "CREATE TABLE IF NOT EXISTS schema_migrations "
      "(version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)");
  std::int64_t current = 0;
  {
    auto query = transaction->prepare("SELECT COALESCE(MAX(version), 0) FROM schema_migrations");
    if (query.step()) current = query.integer(0);
  }
  const int newest = migrations().back().version;
  if (current > newest) {
    throw Error(ErrorKind::kBadConfiguration,
                "The database has schema version " + std::to_string(current) +
                    ", this tessera knows up to " + std::to_string(newest) +
                    ". Run the newer tessera, or give another data folder.");
  }
  for (const Migration& migration : migrations()) {
    if (migration.version <= current) continue;
    transaction->execute(std::string(migration.sql));
    transaction->prepare("INSERT INTO schema_migrations VALUES ($1, $2, $3)")
        .bind(migration.version, migration.name, now_ms())
        .run();
    log_info("store", "migrated the database", {{"migration", migration.name}});
  }
  transaction.commit();
}

int Database::schema_version() {
  Session session(*this);
  auto query = session->prepare("SELECT MAX(version) FROM schema_migrations");
  return query.step() ? static_cast<int>(query.integer(0)) : 0;
}

std::optional<std::string> Database::setting(std::string_view name) {
  Session session(*this);
  auto query = session->prepare("SELECT value FROM settings WHERE name = $1");
  if (!query.bind(name).step()) return std::nullopt;
  return query.text(0);
}

void Database::set_setting(std::string_view name, std::string_view value) {
  Session session(*this);
  session
      ->prepare(
          "INSERT INTO settings VALUES ($1, $2) "
          "ON CONFLICT (name) DO UPDATE SET value = excluded.value")
      .bind(name, value)
      .run();
}

}  // namespace tessera::store
