// Arithmetic, concatenation, formatting with % and comparison.
#include <algorithm>
#include <cmath>
#include <limits>

#include "text/jinja_builtins.h"
#include "text/jinja_kinds.h"
#include "text/jinja_text.h"
#include "text/utf8.h"

namespace tessera::jinja {

namespace {

double number(const Value& value) {
  if (const auto* d = value.get<double>()) return *d;
  return static_cast<double>(integer(value));
}

std::string_view symbol(ExpressionKind operation) {
  switch (operation) {
    case ExpressionKind::kAdd:
      return "+";
    case ExpressionKind::kSubtract:
      return "-";
    case ExpressionKind::kMultiply:
      return "*";
    case ExpressionKind::kDivide:
      return "/";
    case ExpressionKind::kFloorDivide:
      return "//";
    case ExpressionKind::kModulo:
      return "%";
    default:
      return "**";
  }
}

[[noreturn]] void overflow() { fail("the result is beyond 64-bit integers"); }

Value integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  std::int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) overflow();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) overflow();
  }
  return result;
}

Value integer_operation(ExpressionKind operation, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (operation) {
    case ExpressionKind::kAdd:
      if (__builtin_add_overflow(a, b, &result)) overflow();
      return result;
    case ExpressionKind::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) overflow();
      return result;
    case ExpressionKind::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) overflow();
      return result;
    case ExpressionKind::kDivide:
      if (b == 0) fail("division by zero");
      return static_cast<double>(a) / static_cast<double>(b);
    case ExpressionKind::kFloorDivide:
    case ExpressionKind::kModulo: {
      if (b == 0) fail("integer division or modulo by zero");
      if (b == -1) {  // the one quotient that overflows
        if (operation == ExpressionKind::kModulo) return std::int64_t{0};
        if (a == std::numeric_limits<std::int64_t>::min()) overflow();
        return -a;
      }
      const std::int64_t quotient = a / b, remainder = a % b;
      const bool rounds_up = remainder != 0 && (remainder < 0) != (b < 0);
      if (operation == ExpressionKind::kFloorDivide) return quotient - (rounds_up ? 1 : 0);
      return remainder + (rounds_up ? b : 0);
    }
    default:
      return integer_power(a, b);
  }
}

Value float_operation(ExpressionKind operation, double a, double b) {
  switch (operation) {
    case ExpressionKind::kAdd:
      return a + b;
    case ExpressionKind::kSubtract:
      return a - b;
    case ExpressionKind::kMultiply:
      return a * b;
    case ExpressionKind::kDivide:
      if (b == 0) fail("float division by zero");
      return a / b;
    case ExpressionKind::kFloorDivide:
      if (b == 0) fail("float floor division by zero");
      return std::floor(a / b);
    case ExpressionKind::kModulo: {
      if (b == 0) fail("float modulo");
      double remainder = std::fmod(a, b);
      if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
      return remainder;
    }
    default:
      return std::pow(a, b);
  }
}

Value repeat(const Value& value, std::int64_t count, Budget& budget) {
  const auto times = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
  if (const Text* text = value.text()) {
    if (text->chars.empty()) return make_text("");
    if (times > kMaxTextBytes / text->chars.size()) fail("a string exceeds 64 MiB");
    budget.memory(times * text->chars.size());
    Text out;
    for (std::uint64_t i = 0; i < times; ++i) out.append(*text);
    return make_text(std::move(out));
  }
  const Sequence& sequence = *value.sequence();
  if (sequence.items.empty()) return make_sequence({}, sequence.kind);
  if (times > 1'000'000 / sequence.items.size()) fail("a list exceeds 1000000 elements");
  std::vector<Value> items;
  items.reserve(times * sequence.items.size());
  for (std::uint64_t i = 0; i < times; ++i) {
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return budget.made(make_sequence(std::move(items), sequence.kind));
}

// 'a %s' % value, for the conversions s, r, d, i, f and %.
Value format_percent(const Text& format, const Value& argument) {
  std::vector<Value> values = {argument};
  if (const Sequence* tuple = argument.sequence();
      tuple != nullptr && tuple->kind == SequenceKind::kTuple) {
    values = tuple->items;
  }
  std::size_t next = 0;
  Text out;
  const std::string& f = format.chars;
  for (std::size_t i = 0; i < f.size();) {
    const std::size_t percent = std::min(f.find('%', i), f.size());
    out.append(format.slice(i, percent));
    if (percent == f.size()) break;
    i = percent + 1;
    const auto digits = [&] {
      int value = 0;
      while (i < f.size() && f[i] >= '0' && f[i] <= '9') {
        value = value * 10 + (f[i++] - '0');
        if (value > 1000) fail("a width or precision in a format exceeds 1000");
      }
      return value;
    };
    const bool left = i < f.size() && f[i] == '-' && ++i > 0;
    const bool zero = i < f.size() && f[i] == '0' && ++i > 0;
    const auto width = static_cast<std::size_t>(digits());
    int precision = -1;
    if (i < f.size() && f[i] == '.') {
      ++i;
      precision = digits();
    }
    const char conversion = i < f.size() ? f[i++] : '\0';
    if (conversion == '%') {
      out.append("%");
      continue;
    }
    if (next >= values.size()) fail("not enough arguments for format string");
    const Value& value = values[next++];
    Text piece;
    if (conversion == 's' || conversion == 'r') {
      piece = conversion == 's' ? to_text(value) : repr(value);
    } else if ((conversion == 'd' || conversion == 'i') && is_number(value)) {
      const double d = number(value);
      if (value.is<double>() && !(std::fabs(d) < 0x1p63)) fail("a float is too large for %d");
      piece =
          Text(std::to_string(value.is<double>() ? static_cast<std::int64_t>(d) : integer(value)));
    } else if (conversion == 'f' && is_number(value)) {
      char buffer[512];
      const int size = std::snprintf(buffer, sizeof buffer, "%.*f",
                                     std::min(precision < 0 ? 6 : precision, 100), number(value));
      piece = Text(std::string(buffer, static_cast<std::size_t>(size)));
    } else {
      fail(std::string("unsupported format '%") +
           (conversion == '\0' ? "'" : std::string(1, conversion) + "'") + " for " +
           type_name(value));
    }
    const std::size_t have = utf8_length(piece.chars);
    const std::string padding(width > have ? width - have : 0, zero && !left ? '0' : ' ');
    if (!left) out.append(padding);
    out.append(piece);
    if (left) out.append(padding);
  }
  if (next < values.size() && argument.sequence() != nullptr) {
    fail("not all arguments converted during string formatting");
  }
  return make_text(std::move(out));
}

}  // namespace

Value binary(ExpressionKind operation, const Value& a, const Value& b, Budget& budget) {
  require_defined(a);
  if (a.is_text() && operation == ExpressionKind::kModulo) {
    return budget.made(format_percent(*a.text(), b));
  }
  require_defined(b);
  if (is_integer(a) && is_integer(b)) return integer_operation(operation, integer(a), integer(b));
  if (is_number(a) && is_number(b)) return float_operation(operation, number(a), number(b));
  if (operation == ExpressionKind::kAdd) {
    if (a.is_text() && b.is_text()) {
      const bool markup = a.text()->markup || b.text()->markup;
      Text out = markup ? escape_html(*a.text()) : *a.text();
      out.append(markup ? escape_html(*b.text()) : *b.text());
      return budget.made(make_text(std::move(out)));
    }
    if (a.is_text()) fail("can only concatenate str (not \"" + type_name(b) + "\") to str");
    if (is_list_or_tuple(a) && is_list_or_tuple(b) && a.sequence()->kind == b.sequence()->kind) {
      std::vector<Value> items = a.sequence()->items;
      items.insert(items.end(), b.sequence()->items.begin(), b.sequence()->items.end());
      return budget.made(make_sequence(std::move(items), a.sequence()->kind));
    }
  }
  if (operation == ExpressionKind::kMultiply) {
    if ((a.is_text() || is_list_or_tuple(a)) && is_integer(b)) return repeat(a, integer(b), budget);
    if ((b.is_text() || is_list_or_tuple(b)) && is_integer(a)) return repeat(b, integer(a), budget);
  }
  fail("unsupported operand type(s) for " + std::string(symbol(operation)) + ": '" + type_name(a) +
       "' and '" + type_name(b) + "'");
}

Value negate(const Value& value) {
  require_defined(value);
  if (is_integer(value)) return integer_operation(ExpressionKind::kSubtract, 0, integer(value));
  if (value.is<double>()) return -*value.get<double>();
  fail("bad operand type for unary -: '" + type_name(value) + "'");
}

bool compare(Comparison comparison, const Value& a, const Value& b, Budget& budget) {
  budget.work(std::min(extent_of(a).nodes, extent_of(b).nodes));
  switch (comparison) {
    case Comparison::kEq:
      return equal(a, b);
    case Comparison::kNe:
      return !equal(a, b);
    case Comparison::kIn:
    case Comparison::kNotIn:
      if (b.dict() == nullptr) {
        budget.work(b.is_text() ? b.text()->chars.size() / 16 : extent_of(b).nodes);
      }
      return contains(b, a) == (comparison == Comparison::kIn);
    default:
      break;
  }
  require_defined(a);
  require_defined(b);
  // a <= b is not "not b < a" where there is NaN, but no template cares about order there.
  switch (comparison) {
    case Comparison::kLt:
      return less(a, b);
    case Comparison::kGt:
      return less(b, a);
    case Comparison::kLe:
      return less(a, b) || equal(a, b);
    default:
      return less(b, a) || equal(a, b);
  }
}

}  // namespace tessera::jinja
