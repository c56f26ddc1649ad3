// Operators, attributes, items and slices.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/jinja_builtins.h"
#include "text/utf8.h"

namespace tessera::jinja {

namespace {

// Of the processor, so that a busy machine changes no outcome.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

Budget::Budget() : begin_s_(thread_seconds()) {}

void Budget::work(std::uint64_t units) {
  work_ += units;
  if (work_ > kMaxWork) fail("rendering takes too long");
  if (work_ - work_at_last_look_ < kWorkBetweenLooks) return;
  work_at_last_look_ = work_;
  if (thread_seconds() - begin_s_ > kMaxSeconds) fail("rendering takes too long");
}

void Budget::memory(std::uint64_t bytes) {
  memory_ += bytes;
  if (memory_ > kMaxMemory) fail("rendering takes too much memory");
}

Budget::Call::Call(Budget& budget) : budget_(budget) {
  if (budget.calls_ >= kMaxCalls) {
    fail("calls are nested deeper than " + std::to_string(kMaxCalls) + " levels");
  }
  ++budget.calls_;
}

Value Budget::made(Value value) {
  std::uint64_t bytes = 0;
  if (const Text* text = value.text()) bytes = text->chars.size();
  if (const Sequence* s = value.sequence()) bytes = s->items.size() * sizeof(Value);
  if (const Dict* dict = value.dict()) bytes = dict->items.size() * 4 * sizeof(Value);
  if (const auto* generator = value.get<std::shared_ptr<const Generator>>()) {
    bytes = (*generator)->items.size() * sizeof(Value);
  }
  memory(bytes);
  work(bytes / 16);
  return value;
}

Bound::Bound(const Arguments& arguments, std::string what,
             std::initializer_list<std::string_view> names)
    : what_(std::move(what)), names_(names), values_(names.size()), given_(names.size(), false) {
  if (arguments.positional.size() > names.size()) {
    fail(what_ + " takes at most " + std::to_string(names.size()) + " arguments");
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = arguments.positional[i];
    given_[i] = true;
  }
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) fail(what_ + " has no argument '" + name + "'");
    const auto i = static_cast<std::size_t>(found - names_.begin());
    if (given_[i]) fail(what_ + " got argument '" + name + "' twice");
    values_[i] = value;
    given_[i] = true;
  }
}

const Value* Bound::find(std::size_t index) const {
  return given_[index] ? &values_[index] : nullptr;
}

const Value& Bound::require(std::size_t index) const {
  if (!given_[index]) fail(what_ + " needs argument '" + std::string(names_[index]) + "'");
  return values_[index];
}

bool Bound::flag(std::size_t index, bool otherwise) const {
  return given_[index] ? truthy(values_[index]) : otherwise;
}

std::int64_t Bound::integer(std::size_t index, std::int64_t otherwise) const {
  if (!given_[index]) return otherwise;
  if (const auto* i = values_[index].get<std::int64_t>()) return *i;
  if (const auto* b = values_[index].get<bool>()) return *b ? 1 : 0;
  fail(what_ + ": argument '" + std::string(names_[index]) + "' must be an integer, not " +
       type_name(values_[index]));
}

void require_defined(const Value& value) {
  if (const auto* undefined = value.get<Undefined>()) {
    fail(undefined->why != nullptr ? *undefined->why : "a value is undefined");
  }
}

namespace {

bool is_integer(const Value& value) { return value.is<std::int64_t>() || value.is<bool>(); }
bool is_number(const Value& value) { return is_integer(value) || value.is<double>(); }

std::int64_t integer(const Value& value) {
  if (const bool* b = value.get<bool>()) return *b ? 1 : 0;
  return *value.get<std::int64_t>();
}

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

bool is_list_or_tuple(const Value& value) {
  const Sequence* sequence = value.sequence();
  return sequence != nullptr &&
         (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple);
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

// --- Attributes ----------------------------------------------------------------------------------

namespace {

enum class MethodSafety { kNone, kSafe, kMutates };

MethodSafety method_of(const Value& object, std::string_view name) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (object.is_text()) return is_text_method(name) ? MethodSafety::kSafe : MethodSafety::kNone;
  if (object.dict() != nullptr) {
    if (is_one_of({"get", "items", "keys", "values", "copy"})) return MethodSafety::kSafe;
    if (is_one_of({"clear", "pop", "popitem", "setdefault", "update"})) {
      return MethodSafety::kMutates;
    }
  }
  if (is_list_or_tuple(object)) {
    if (is_one_of({"count", "index"})) return MethodSafety::kSafe;
    if (object.sequence()->kind == SequenceKind::kList) {
      if (name == "copy") return MethodSafety::kSafe;
      if (is_one_of({"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"})) {
        return MethodSafety::kMutates;
      }
    }
  }
  return MethodSafety::kNone;
}

Value loop_attribute(const Loop& loop, std::string_view name) {
  const auto size = static_cast<std::int64_t>(loop.items->items.size());
  const std::int64_t i = loop.index0;
  if (name == "index") return i + 1;
  if (name == "index0") return i;
  if (name == "revindex") return size - i;
  if (name == "revindex0") return size - i - 1;
  if (name == "first") return i == 0;
  if (name == "last") return i == size - 1;
  if (name == "length") return size;
  if (name == "depth") return std::int64_t{1};  // only recursive loops, unsupported, go deeper
  if (name == "depth0") return std::int64_t{0};
  if (name == "previtem") {
    return i > 0 ? loop.items->items[static_cast<std::size_t>(i - 1)]
                 : make_undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return i + 1 < size ? loop.items->items[static_cast<std::size_t>(i + 1)]
                        : make_undefined("there is no next item");
  }
  return make_undefined("'LoopContext object' has no attribute '" + std::string(name) + "'");
}

// A method, or nothing: what getattr() of Python finds apart from keys.
std::optional<Value> find_method(const Value& object, std::string_view name) {
  switch (method_of(object, name)) {
    case MethodSafety::kSafe:
      return Value(std::shared_ptr<const Method>(
          std::make_shared<Method>(Method{object, std::string(name)})));
    case MethodSafety::kMutates:
      return make_undefined("access to attribute '" + std::string(name) + "' of '" +
                            type_name(object) + "' object is unsafe.");
    case MethodSafety::kNone:
      break;
  }
  return std::nullopt;
}

Value no_attribute(const Value& object, std::string_view name) {
  return make_undefined("'" + type_name(object) + " object' has no attribute '" +
                        std::string(name) + "'");
}

}  // namespace

Value get_attribute(const Value& object, std::string_view name) {
  require_defined(object);
  if (std::optional<Value> method = find_method(object, name)) return std::move(*method);
  if (const Dict* dict = object.dict()) {
    if (const Value* value = dict->find_text(name)) return *value;
  }
  if (const auto* space = object.get<Namespace*>()) {
    if (const Value* value = (*space)->find(name)) return *value;
  }
  if (const auto* loop = object.get<std::shared_ptr<const Loop>>()) {
    if (name == "cycle") {
      return std::shared_ptr<const Method>(
          std::make_shared<Method>(Method{object, std::string(name)}));
    }
    return loop_attribute(**loop, name);
  }
  return no_attribute(object, name);
}

Value get_item(const Value& object, const Value& key) {
  require_defined(object);
  if (const Dict* dict = object.dict()) {
    if (const Value* value = dict->find(key)) return *value;
  } else if (is_integer(key)) {
    std::int64_t index = integer(key);
    if (const Text* text = object.text()) {
      const auto size = static_cast<std::int64_t>(utf8_length(text->chars));
      if (index < 0) index += size;
      if (index >= 0 && index < size) {
        std::size_t at = 0;
        for (; index > 0; --index) at += lead_length(text->chars[at]);
        return make_text(text->slice(at, at + lead_length(text->chars[at])));
      }
    } else if (const Sequence* sequence = object.sequence();
               sequence != nullptr &&
               (is_list_or_tuple(object) || sequence->kind == SequenceKind::kRange)) {
      const auto size = static_cast<std::int64_t>(sequence->items.size());
      if (index < 0) index += size;
      if (index >= 0 && index < size) return sequence->items[static_cast<std::size_t>(index)];
    }
  }
  if (const Text* name = key.text()) {
    if (object.dict() == nullptr) return get_attribute(object, name->chars);
    if (std::optional<Value> method = find_method(object, name->chars)) return std::move(*method);
    return no_attribute(object, name->chars);
  }
  return make_undefined(type_name(object) + " object has no element " + repr(key).chars);
}

Value get_slice(const Value& object, const Value& begin, const Value& end, const Value& step,
                Budget& budget) {
  require_defined(object);
  const Text* text = object.text();
  const Sequence* sequence = object.sequence();
  if (text == nullptr && !is_list_or_tuple(object) &&
      (sequence == nullptr || sequence->kind != SequenceKind::kRange)) {
    return make_undefined(type_name(object) + " object cannot be sliced");
  }
  const auto bound = [](const Value& value, std::int64_t otherwise) {
    if (value.is_none() || value.is_undefined()) return otherwise;
    if (!is_integer(value)) fail("slice indices must be integers or None");
    return integer(value);
  };
  const std::int64_t stride = bound(step, 1);
  if (stride == 0) fail("slice step cannot be zero");
  const std::int64_t size = length(object);
  const auto clamp = [&](std::int64_t i) {  // as slice.indices() does
    if (i < 0) i = std::max(i + size, stride < 0 ? std::int64_t{-1} : 0);
    return std::min(i, stride < 0 ? size - 1 : size);
  };
  constexpr auto kAbsent = std::numeric_limits<std::int64_t>::min();
  const std::int64_t b = bound(begin, kAbsent), e = bound(end, kAbsent);
  const std::int64_t from = b == kAbsent ? (stride < 0 ? size - 1 : 0) : clamp(b);
  const std::int64_t to = e == kAbsent ? (stride < 0 ? -1 : size) : clamp(e);

  if (text != nullptr) {
    std::vector<std::size_t> offsets;
    if (text->chars.size() == static_cast<std::size_t>(size) && stride == 1) {
      if (from >= to) return make_text("");
      return budget.made(
          make_text(text->slice(static_cast<std::size_t>(from), static_cast<std::size_t>(to))));
    }
    budget.memory(8 * text->chars.size());
    for (std::size_t at = 0; at < text->chars.size(); at += lead_length(text->chars[at])) {
      offsets.push_back(at);
    }
    offsets.push_back(text->chars.size());
    if (stride == 1) {
      if (from >= to) return make_text("");
      return budget.made(make_text(text->slice(offsets[static_cast<std::size_t>(from)],
                                               offsets[static_cast<std::size_t>(to)])));
    }
    Text out;
    for (std::int64_t i = from; stride > 0 ? i < to : i > to;) {
      const auto at = static_cast<std::size_t>(i);
      out.append(text->slice(offsets[at], offsets[at + 1]));
      if (__builtin_add_overflow(i, stride, &i)) break;
    }
    return budget.made(make_text(std::move(out)));
  }
  std::vector<Value> items;
  for (std::int64_t i = from; stride > 0 ? i < to : i > to;) {
    items.push_back(sequence->items[static_cast<std::size_t>(i)]);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  return budget.made(make_sequence(std::move(items), sequence->kind));
}

}  // namespace tessera::jinja
