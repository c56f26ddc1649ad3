// The functions that templates find without defining them.
#include <ctime>

#include "base/strings.h"
#include "text/jinja_builtins.h"

namespace tessera::jinja {

namespace {

constexpr std::int64_t kMaxRange = 100'000;

}  // namespace

Dict dict_of(const Arguments& arguments, std::string_view what) {
  Dict dict;
  if (arguments.positional.size() > 1) {
    fail(std::string(what) + " takes at most 1 positional argument");
  }
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (const Dict* mapping = source.dict()) {
      for (const auto& [key, value] : mapping->items) dict.set(key, value);
    } else {
      for (const Value& pair : iterate(source)) {
        const std::vector<Value> items = iterate(pair);
        if (items.size() != 2) fail(std::string(what) + " needs pairs of key and value");
        dict.set(items[0], items[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict.set(make_text(name), value);
  return dict;
}

Value make_range(const Arguments& arguments, Budget& budget) {
  const Bound bound(arguments, "range()", {"start", "stop", "step"});
  std::int64_t start = bound.integer(0, 0), stop = bound.integer(1, 0);
  bound.require(0);
  if (bound.find(1) == nullptr) std::swap(start, stop);
  const std::int64_t step = bound.integer(2, 1);
  if (step == 0) fail("range() arg 3 must not be zero");
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<std::int64_t>(items.size()) == kMaxRange) {
      fail("range too big, at most " + std::to_string(kMaxRange) + " elements are allowed");
    }
    items.push_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return budget.made(make_sequence(std::move(items), SequenceKind::kRange));
}

Value format_time(const Arguments& arguments, std::int64_t now_s) {
  const Bound bound(arguments, "strftime_now()", {"format"});
  const Text* format = bound.require(0).text();
  if (format == nullptr) fail("strftime_now() needs a string");
  if (format->chars.size() > 200) fail("strftime_now(): the format is too long");
  const std::time_t now = now_s;
  std::tm local{};
  localtime_r(&now, &local);
  // A space in front: an empty result is then told from a buffer too small.
  char buffer[4096];
  const std::size_t size =
      std::strftime(buffer, sizeof buffer, (" " + format->chars).c_str(), &local);
  if (size == 0) fail("strftime_now(): the result is too long");
  return make_text(Text(utf8_sanitize({buffer + 1, size - 1}), format->has_foreign()));
}

}  // namespace tessera::jinja
