#include "base/config.h"

#include <cmath>

#include "base/error.h"
#include "base/strings.h"

namespace tessera {
namespace {

[[noreturn]] void throw_bad(std::string_view what, std::string_view text, std::string_view wanted) {
  throw Error(ErrorKind::kBadConfiguration, "Invalid value for " + std::string(what) + ": " +
                                                quote_for_message(text) + "; wanted " +
                                                std::string(wanted) + ".");
}

constexpr std::string_view kSizeForms = "a size such as '4GiB', '512MiB', '10MB' or '4096'";
constexpr std::string_view kDurationForms =
    "a duration such as '30s', '250ms', '5m', '1h30m' or seconds";

// The decimal number at the start of `text`, removed from it; nullopt when there is none.
std::optional<double> take_number(std::string_view& text) {
  std::size_t end = text.find_first_not_of("0123456789.");
  auto value = parse_double(text.substr(0, end));
  text.remove_prefix(end == std::string_view::npos ? text.size() : end);
  return value;
}

std::optional<double> size_factor(std::string_view unit) {
  if (unit.empty() || unit == "B") return 1;
  constexpr std::string_view kPrefixes = "kmgt";
  std::string u = to_lower(unit);
  std::size_t power = kPrefixes.find(u[0]);
  if (power == std::string_view::npos) return std::nullopt;
  std::string_view rest = std::string_view(u).substr(1);
  double base = rest == "b" ? 1000 : 1024;
  if (!rest.empty() && rest != "b" && rest != "ib" && rest != "i") return std::nullopt;
  return std::pow(base, static_cast<double>(power + 1));
}

std::optional<double> duration_factor_ms(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit.empty() || unit == "s") return 1e3;
  if (unit == "m" || unit == "min") return 60e3;
  if (unit == "h") return 3600e3;
  if (unit == "d") return 86400e3;
  return std::nullopt;
}

}  // namespace

std::int64_t parse_bytes(std::string_view text, std::string_view what) {
  std::string_view rest = trim(text);
  auto number = take_number(rest);
  auto factor = size_factor(trim(rest));
  if (!number || !factor) throw_bad(what, text, kSizeForms);
  double bytes = *number * *factor;
  if (bytes >= 9.2e18) throw_bad(what, text, "fewer than 8 EiB");
  return static_cast<std::int64_t>(bytes);
}

std::string format_bytes(std::int64_t bytes) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (std::abs(value) >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  value = std::round(value * 10) / 10;
  std::string number;
  append_double(number, value);
  if (number.ends_with(".0")) number.resize(number.size() - 2);
  return number + " " + std::string(kUnits[unit]);
}

std::chrono::milliseconds parse_duration(std::string_view text, std::string_view what) {
  std::string_view rest = trim(text);
  if (rest.empty()) throw_bad(what, text, kDurationForms);
  double total_ms = 0;
  while (!rest.empty()) {
    auto number = take_number(rest);
    std::size_t unit_end = rest.find_first_of("0123456789.");
    auto factor = duration_factor_ms(trim(rest.substr(0, unit_end)));
    if (!number || !factor) throw_bad(what, text, kDurationForms);
    total_ms += *number * *factor;
    rest.remove_prefix(unit_end == std::string_view::npos ? rest.size() : unit_end);
  }
  constexpr double kMaxMs = 100.0 * 365 * 86400e3;
  if (total_ms > kMaxMs) throw_bad(what, text, "less than a hundred years");
  return std::chrono::milliseconds(static_cast<std::int64_t>(total_ms));
}

std::string format_duration(std::chrono::milliseconds duration) {
  struct Unit {
    std::int64_t ms;
    std::string_view name;
  };
  constexpr Unit kUnits[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string out = rest < 0 ? "-" : "";
  rest = std::abs(rest);
  for (const Unit& unit : kUnits) {
    if (rest < unit.ms) continue;
    out += std::to_string(rest / unit.ms);
    out += unit.name;
    rest %= unit.ms;
  }
  return out;
}

}  // namespace tessera
