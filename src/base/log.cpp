#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera {
namespace {

constexpr std::string_view kNames[] = {"DEBUG", "INFO", "WARN", "ERROR", "OFF"};

LogLevel level_from_environment() {
  const char* text = std::getenv("TESSERA_LOG");
  if (text == nullptr || *text == '\0') return LogLevel::kInfo;
  try {
    return parse_log_level(text);
  } catch (const Error&) {
    return LogLevel::kInfo;  // app/ checks the variable and reports it
  }
}

std::atomic<LogLevel>& level_now() {
  static std::atomic<LogLevel> level{level_from_environment()};
  return level;
}

struct Sink {
  std::mutex mutex;  // guards write
  std::function<void(std::string_view)> write;
};
Sink& sink() {
  static auto* sink = new Sink;  // never destroyed: threads may log during exit
  return *sink;
}

// Bare when it cannot be mistaken, else as a JSON string: always one line.
void append_value(std::string& out, std::string_view text) {
  bool bare = !text.empty();
  for (char c : text) {
    bare = bare && c > ' ' && c < 0x7F && c != '"' && c != '=' && c != '\\';
  }
  if (bare) {
    out += text;
  } else {
    append_json_string(out, text);
  }
}

}  // namespace

bool log_enabled(LogLevel level) { return level >= level_now().load(std::memory_order_relaxed); }
void set_log_level(LogLevel level) { level_now().store(level, std::memory_order_relaxed); }

LogLevel parse_log_level(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(LogLevel::kOff); ++i) {
    if (iequals(text, kNames[i])) return static_cast<LogLevel>(i);
  }
  throw Error(ErrorKind::kBadConfiguration,
              "Unknown log level " + quote_for_message(text) +
                  "; it must be one of debug, info, warn, error, off.");
}

void set_log_sink(std::function<void(std::string_view line)> write) {
  std::lock_guard lock(sink().mutex);
  sink().write = std::move(write);
}

void write_log(LogLevel level, std::string_view room, std::string_view message, LogFields fields) {
  if (level == LogLevel::kOff || !log_enabled(level)) return;
  std::string line = format_rfc3339(now_ms());
  line += ' ';
  line += kNames[static_cast<int>(level)];
  line += ' ';
  line += room;
  line += ": ";
  for (char c : message) line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      append_value(line, *text);
    } else if (const auto* flag = std::get_if<bool>(&field.value)) {
      line += *flag ? "true" : "false";
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      append_double(line, *number);
    } else {
      line += std::to_string(std::get<std::int64_t>(field.value));
    }
  }
  line += '\n';
  std::lock_guard lock(sink().mutex);
  if (sink().write) {
    sink().write(std::string_view(line).substr(0, line.size() - 1));
  } else if (::write(STDERR_FILENO, line.data(), line.size()) < 0) {
    return;  // nowhere left to say so
  }
}

}  // namespace tessera
