#include "base/clock.h"

#include <chrono>
#include <cstdio>

#include "base/strings.h"

namespace tessera {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// The number in text[at, at + width), or nullopt when it is not all digits.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t width) {
  if (text.size() < at + width) return std::nullopt;
  int value = 0;
  for (char c : text.substr(at, width)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::int64_t now_ms() {
  return duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::int64_t now_s() { return now_ms() / 1000; }

std::int64_t steady_us() {
  return duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string format_rfc3339(std::int64_t epoch_ms) {
  using namespace std::chrono;
  sys_time<milliseconds> time{milliseconds(epoch_ms)};
  auto day = floor<days>(time);
  year_month_day date(day);
  hh_mm_ss clock(time - day);
  char text[48];
  int length = std::snprintf(
      text, sizeof(text), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return std::string(text, static_cast<std::size_t>(length));
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  auto y = digits(text, 0, 4), mo = digits(text, 5, 2), d = digits(text, 8, 2);
  auto h = digits(text, 11, 2), mi = digits(text, 14, 2), s = digits(text, 17, 2);
  if (!y || !mo || !d || !h || !mi || !s) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') return std::nullopt;
  if (text[10] != 'T' && text[10] != 't' && text[10] != ' ') return std::nullopt;
  year_month_day date{year(*y), month(static_cast<unsigned>(*mo)), day(static_cast<unsigned>(*d))};
  if (!date.ok() || *h > 23 || *mi > 59 || *s > 60) return std::nullopt;
  text.remove_prefix(19);
  std::int64_t fraction_ms = 0;
  if (!text.empty() && text[0] == '.') {
    std::size_t end = text.find_first_not_of("0123456789", 1);
    if (end == std::string_view::npos || end == 1) return std::nullopt;
    std::string padded = std::string(text.substr(1, end - 1)) + "000";
    fraction_ms = *digits(padded, 0, 3);
    text.remove_prefix(end);
  }
  std::int64_t offset_s = 0;
  if (text != "Z" && text != "z") {
    auto oh = digits(text, 1, 2), om = digits(text, 4, 2);
    if (text.size() != 6 || !oh || !om || text[3] != ':' || *oh > 23 || *om > 59) {
      return std::nullopt;
    }
    if (text[0] != '+' && text[0] != '-') return std::nullopt;
    offset_s = (text[0] == '+' ? 1 : -1) * (*oh * 3600 + *om * 60);
  }
  std::int64_t day_s = sys_days(date).time_since_epoch().count() * std::int64_t{86400};
  return (day_s + *h * 3600 + *mi * 60 + *s - offset_s) * 1000 + fraction_ms;
}

}  // namespace tessera
