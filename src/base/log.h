// Structured log: one line per event on stderr, `time LEVEL room: message key=value …`.
//
//   log_info("http", "listening", {{"address", address}, {"port", port}});
//
// The level comes from TESSERA_LOG (debug, info, warn, error, off; default info) or
// set_log_level(). Any thread may log; a line is written whole, with one write. A call below the
// level costs one atomic load: fields hold views and numbers and are formatted only when printed.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace tessera {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

struct LogField {
  LogField(std::string_view key, std::string_view value) : key(key), value(value) {}
  LogField(std::string_view key, const char* value) : key(key), value(std::string_view(value)) {}
  LogField(std::string_view key, const std::string& value)
      : key(key), value(std::string_view(value)) {}
  LogField(std::string_view key, bool value) : key(key), value(value) {}
  template <std::floating_point T>
  LogField(std::string_view key, T value) : key(key), value(static_cast<double>(value)) {}
  template <std::integral T>
  LogField(std::string_view key, T value) : key(key), value(static_cast<std::int64_t>(value)) {}

  std::string_view key;
  std::variant<std::string_view, bool, double, std::int64_t> value;
};

using LogFields = std::initializer_list<LogField>;

bool log_enabled(LogLevel level);
void set_log_level(LogLevel level);
// "debug" … "off"; throws Error(kBadConfiguration) naming the choices.
LogLevel parse_log_level(std::string_view text);
// For tests: where lines go instead of stderr; an empty function restores stderr.
void set_log_sink(std::function<void(std::string_view line)> sink);

void write_log(LogLevel level, std::string_view room, std::string_view message,
               LogFields fields = {});
inline void log_debug(std::string_view room, std::string_view message, LogFields fields = {}) {
  if (log_enabled(LogLevel::kDebug)) write_log(LogLevel::kDebug, room, message, fields);
}
inline void log_info(std::string_view room, std::string_view message, LogFields fields = {}) {
  if (log_enabled(LogLevel::kInfo)) write_log(LogLevel::kInfo, room, message, fields);
}
inline void log_warn(std::string_view room, std::string_view message, LogFields fields = {}) {
  if (log_enabled(LogLevel::kWarn)) write_log(LogLevel::kWarn, room, message, fields);
}
inline void log_error(std::string_view room, std::string_view message, LogFields fields = {}) {
  if (log_enabled(LogLevel::kError)) write_log(LogLevel::kError, room, message, fields);
}

}  // namespace tessera
