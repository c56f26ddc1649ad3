#include "store/connection.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace tessera::store {

Statement::Statement(Connection& connection, sqlite3_stmt* statement)
    : connection_(&connection), statement_(statement) {}

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() {
  if (!statement_) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  auto [it, added] = connection_->statements_.try_emplace(sqlite3_sql(statement_), statement_);
  if (!added) sqlite3_finalize(statement_);  // the same text was in use twice
}

void Statement::bind_one(int position, std::int64_t value) {
  if (int code = sqlite3_bind_int64(statement_, position, value)) connection_->fail(code);
}

void Statement::bind_one(int position, std::string_view value) {
  if (int code =
          sqlite3_bind_text64(statement_, position, value.data() ? value.data() : "", value.size(),
                              borrow_ ? SQLITE_STATIC : SQLITE_TRANSIENT, SQLITE_UTF8)) {
    connection_->fail(code);
  }
}

bool Statement::step() {
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  connection_->fail(code);
}

void Statement::run() {
  while (step()) {
  }
}

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string Statement::text(int column) const {
  auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return bytes ? std::string(bytes, sqlite3_column_bytes(statement_, column)) : std::string();
}

Connection::Connection(const std::filesystem::path& path, int busy_timeout_ms) : path_(path) {
  // SQLite would create the file by the umask; -wal and -shm take over its mode.
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    throw Error(ErrorKind::kIo, "Cannot open database '" + path.string() +
                                    "' for writing: " + std::strerror(errno) + ".");
  }
  ::close(fd);
  int code =
      sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  try {
    if (code != SQLITE_OK) fail(code);
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, busy_timeout_ms);
    // FULL: what was acknowledged outlives a power cut, not only a killed process.
    execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
        "PRAGMA trusted_schema = OFF;");
  } catch (...) {
    sqlite3_close_v2(handle_);
    throw;
  }
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

Statement Connection::prepare(std::string_view sql) {
  if (auto it = statements_.find(sql); it != statements_.end()) {
    auto* statement = it->second;
    statements_.erase(it);
    return {*this, statement};
  }
  sqlite3_stmt* statement = nullptr;
  if (int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                    SQLITE_PREPARE_PERSISTENT, &statement, nullptr)) {
    fail(code);
  }
  return {*this, statement};
}

void Connection::execute(const std::string& script) {
  if (int code = sqlite3_exec(handle_, script.c_str(), nullptr, nullptr, nullptr)) fail(code);
}

std::int64_t Connection::changes() const { return sqlite3_changes64(handle_); }

void Connection::fail(int code) const {
  const std::string reason = handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  const std::string file = "Database '" + path_.string() + "'";
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
      if (code == SQLITE_CONSTRAINT_FOREIGNKEY) {
        throw Error(ErrorKind::kResourceDoesNotExist,
                    "The object that this one refers to does not exist.");
      }
      throw Error(ErrorKind::kResourceAlreadyExists,
                  "An object of that name exists already (" + reason + ").");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(ErrorKind::kIo, file + " is locked by another process (" + reason +
                                      "). Stop that process, or give another data folder.");
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      throw Error(ErrorKind::kBadConfiguration,
                  file + " is damaged or not a Tessera database (" + reason +
                      "). Restore it from a backup, or move it away to start anew.");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      throw Error(ErrorKind::kIo, file + " cannot be written (" + reason + ").");
    case SQLITE_FULL:
      throw Error(ErrorKind::kIo, file + " cannot grow: the disk is full.");
    default:
      throw Error(ErrorKind::kIo, file + ": " + reason + ".");
  }
}

}  // namespace tessera::store
