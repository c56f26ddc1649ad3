// The database of one installation: one file, one connection, migrated when opened.
//
// Calls block on the disk: make them on the pool kept for that, never on an I/O thread.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "store/connection.h"

namespace tessera::store {

struct DatabaseOptions {
  std::filesystem::path path;
  int busy_timeout_ms = 5'000;  // how long to wait for another process
};

class Database {
 public:
  // Opens or creates the file and runs the migrations it lacks. Throws Error(kIo) when it cannot be
  // opened or is locked, Error(kBadConfiguration) when it is damaged or of a newer version.
  explicit Database(const DatabaseOptions& options);

  // Exclusive use of the connection while alive.
  class Session {
   public:
    explicit Session(Database& database)
        : lock_(database.mutex_), connection_(database.connection_) {}
    Connection* operator->() { return &connection_; }

   private:
    std::lock_guard<std::mutex> lock_;
    Connection& connection_;
  };

  // All or nothing: rolled back unless commit() was reached.
  class Transaction {
   public:
    explicit Transaction(Database& database);
    ~Transaction();
    void commit();
    Connection* operator->() { return session_.operator->(); }

   private:
    Session session_;
    bool open_ = true;
  };

  int schema_version();

  // Small facts about the installation, e.g. its workspace id.
  std::optional<std::string> setting(std::string_view name);
  void set_setting(std::string_view name, std::string_view value);

 private:
  void migrate();

  std::mutex mutex_;  // guards connection_
  Connection connection_;
};

}  // namespace tessera::store
