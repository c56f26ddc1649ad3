// A connection to the database and its prepared statements. Today SQLite is the only database; the
// SQL handed in is kept to what PostgreSQL understands too ($1 placeholders in order of first use,
// ON CONFLICT upserts, BIGINT), so a second connection class can stand beside this one.
//
// Not thread-safe: Database hands it out under its mutex.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace tessera::store {

class Connection;

// Positions count from 1 for parameters and from 0 for columns.
class Statement {
 public:
  Statement(Connection& connection, sqlite3_stmt* statement);
  Statement(Statement&& other) noexcept;
  ~Statement();

  template <class... Values>
  Statement& bind(const Values&... values) {
    int position = 0;
    (bind_one(++position, values), ...);
    return *this;
  }
  // The same without copies: the texts must live until reset() or the statement's end.
  template <class... Values>
  Statement& bind_borrowed(const Values&... values) {
    borrow_ = true;
    bind(values...);
    borrow_ = false;
    return *this;
  }
  bool step();   // true: a row is there
  void run();    // steps to the end
  void reset();  // to be bound and run again

  std::int64_t integer(int column) const;
  std::string text(int column) const;

 private:
  void bind_one(int position, std::int64_t value);
  void bind_one(int position, int value) { bind_one(position, std::int64_t{value}); }
  void bind_one(int position, bool value) { bind_one(position, std::int64_t{value}); }
  void bind_one(int position, std::string_view value);
  void bind_one(int position, const std::string& value) {
    bind_one(position, std::string_view(value));
  }
  void bind_one(int position, const char* value) { bind_one(position, std::string_view(value)); }

  Connection* connection_;
  sqlite3_stmt* statement_;
  bool borrow_ = false;
};

class Connection {
 public:
  // Creates the file, readable by its owner only, when there is none. Throws Error(kIo) or
  // Error(kBadConfiguration) naming the file and what to do.
  Connection(const std::filesystem::path& path, int busy_timeout_ms);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Statement prepare(std::string_view sql);  // kept for the next time
  void execute(const std::string& script);  // several statements, nothing bound
  std::int64_t changes() const;             // rows changed by the last statement

  // Throws the Error that stands for an SQLite result code: kResourceAlreadyExists for a taken key,
  // kResourceDoesNotExist for a missing parent, else kIo with the file and the reason.
  [[noreturn]] void fail(int code) const;

 private:
  friend class Statement;
  std::filesystem::path path_;
  sqlite3* handle_ = nullptr;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;  // idle ones
};

}  // namespace tessera::store
