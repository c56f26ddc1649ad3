// Filters by name.
#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "base/strings.h"
#include "text/jinja_filters.h"
#include "text/jinja_text.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera::jinja {

namespace {

using Items = std::vector<Value>;

Value tojson_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'tojson'",
                    {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.flag(0, false);
  style.sort_keys = bound.flag(3, false);
  if (const Value* indent = bound.find(1); indent != nullptr && !indent->is_none()) {
    style.pretty = true;
    if (const Text* text = indent->text()) {
      if (text->chars.size() > 100) fail("filter 'tojson': the indent is too long");
      style.indent = text->chars;
    } else {
      const std::int64_t width = bound.integer(1, 0);
      if (width > 100) fail("filter 'tojson': the indent is too long");
      style.indent = std::string(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
    }
    style.item_separator = Text(",");
  }
  if (const Value* separators = bound.find(2); separators != nullptr && !separators->is_none()) {
    const Sequence* pair = separators->sequence();
    if (pair == nullptr || pair->items.size() != 2 || !pair->items[0].is_text() ||
        !pair->items[1].is_text()) {
      fail("filter 'tojson': argument 'separators' must be two strings");
    }
    style.item_separator = *pair->items[0].text();
    style.key_separator = *pair->items[1].text();
  }
  return make_text(to_json(input, style));
}

Value indent_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'indent'", {"width", "first", "blank"});
  Text margin(std::string(4, ' '));
  if (const Value* width = bound.find(0)) {
    if (const Text* text = width->text()) {
      margin = *text;
    } else {
      const std::int64_t size = std::clamp<std::int64_t>(bound.integer(0, 4), 0, 1000);
      margin = Text(std::string(static_cast<std::size_t>(size), ' '));
    }
  }
  const bool blank = bound.flag(2, false);
  Text text = to_text(input);
  text.append("\n");  // as the original does: a last newline makes one more, empty line
  Text out;
  if (bound.flag(1, false)) out.append(margin);
  bool is_first = true;
  for (const Text& line : split_lines(text, false)) {
    if (!std::exchange(is_first, false)) {
      out.append("\n");
      if (blank || !line.chars.empty()) out.append(margin);
    }
    out.append(line);
    if (out.chars.size() > kMaxTextBytes) fail("a string exceeds 64 MiB");
  }
  return make_text(std::move(out));
}

std::optional<double> parse_float(std::string_view text) {
  std::string digits(tessera::trim(text));
  std::erase(digits, '_');
  const std::string low = tessera::to_lower(digits);
  if (low == "nan" || low == "inf" || low == "infinity" || low == "-inf") {
    return low == "nan" ? NAN : low[0] == '-' ? -INFINITY : INFINITY;
  }
  if (digits.starts_with('+')) digits.erase(0, 1);
  return parse_double(digits);
}

Value int_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'int'", {"default", "base"});
  const Value otherwise = bound.find(0) != nullptr ? *bound.find(0) : Value(std::int64_t{0});
  const std::int64_t base = bound.integer(1, 10);
  const auto from_float = [&](double d) -> Value {
    if (!(std::fabs(d) < 0x1p63)) return otherwise;
    return static_cast<std::int64_t>(d);
  };
  if (input.is<std::int64_t>()) return input;
  if (const bool* b = input.get<bool>()) return std::int64_t{*b ? 1 : 0};
  if (const double* d = input.get<double>()) return from_float(*d);
  const Text* text = input.text();
  if (text == nullptr) return otherwise;
  std::string digits(tessera::trim(text->chars));
  std::erase(digits, '_');
  if (digits.starts_with('+')) digits.erase(0, 1);
  if (base == 10) {
    if (const auto value = parse_int(digits)) return *value;
  } else if (base >= 2 && base <= 36) {
    const bool negative = digits.starts_with('-');
    if (negative) digits.erase(0, 1);
    const std::string prefix = tessera::to_lower(digits.substr(0, 2));
    if ((base == 16 && prefix == "0x") || (base == 8 && prefix == "0o") ||
        (base == 2 && prefix == "0b")) {
      digits.erase(0, 2);
    }
    std::int64_t value = 0;
    bool valid = !digits.empty();
    for (const char c : tessera::to_lower(digits)) {
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
      valid = valid && digit < base && !__builtin_mul_overflow(value, base, &value) &&
              !__builtin_add_overflow(value, std::int64_t{digit}, &value);
    }
    if (valid) return negative ? -value : value;
  }
  if (const auto d = parse_float(text->chars)) return from_float(*d);
  return otherwise;
}

Value float_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'float'", {"default"});
  const Value otherwise = bound.find(0) != nullptr ? *bound.find(0) : Value(0.0);
  if (input.is<double>()) return input;
  if (const auto* i = input.get<std::int64_t>()) return static_cast<double>(*i);
  if (const bool* b = input.get<bool>()) return *b ? 1.0 : 0.0;
  if (const Text* text = input.text()) {
    if (const auto d = parse_float(text->chars)) return *d;
  }
  return otherwise;
}

Value round_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'round'", {"precision", "method"});
  const Value as_float = float_filter(input, {});
  if (!input.is<double>() && !input.is<std::int64_t>() && !input.is<bool>()) {
    fail("filter 'round' needs a number, not " + type_name(input));
  }
  const double value = *as_float.get<double>();
  const std::int64_t precision = std::clamp<std::int64_t>(bound.integer(0, 0), -300, 300);
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const std::string method =
      bound.find(1) != nullptr ? to_text(*bound.find(1)).chars : std::string("common");
  if (method == "ceil") return std::ceil(value * scale) / scale;
  if (method == "floor") return std::floor(value * scale) / scale;
  if (method != "common") fail("filter 'round': method must be common, ceil or floor");
  if (!input.is<double>() && precision >= 0) return int_filter(input, {});
  if (precision < 0) return std::nearbyint(value * scale) / scale;
  // Like Python: the decimal number nearest to the exact value, ties to even.
  char buffer[700];
  std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(precision), value);
  return parse_double(buffer).value_or(value);
}

Value sum_filter(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound bound(arguments, "filter 'sum'", {"attribute", "start"});
  Value total = bound.find(1) != nullptr ? *bound.find(1) : Value(std::int64_t{0});
  for (const Value& item : iterate(input)) {
    total = binary(ExpressionKind::kAdd, total, get_path(item, bound.find(0)), budget);
  }
  return total;
}

Value abs_filter(const Value& input) {
  const bool negative = (input.is<std::int64_t>() && *input.get<std::int64_t>() < 0) ||
                        (input.is<double>() && std::signbit(*input.get<double>()));
  if (input.is<bool>()) return std::int64_t{*input.get<bool>() ? 1 : 0};
  if (!input.is<std::int64_t>() && !input.is<double>()) {
    fail("filter 'abs' needs a number, not " + type_name(input));
  }
  return negative ? negate(input) : input;
}

Value items_filter(const Value& input) {
  if (input.is_undefined()) return make_generator({});
  const Dict* dict = input.dict();
  if (dict == nullptr) fail("Can only get item pairs from a mapping.");
  Items items;
  for (const auto& [key, value] : dict->items) {
    items.push_back(make_sequence({key, value}, SequenceKind::kTuple));
  }
  return make_generator(std::move(items));
}

Value join_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'join'", {"d", "attribute"});
  Items items = iterate(input);
  if (const Value* attribute = bound.find(1)) {
    for (Value& item : items) item = get_path(item, attribute);
  }
  return make_text(join(items, bound.find(0) != nullptr ? to_text(*bound.find(0)) : Text()));
}

Value reverse_filter(const Value& input) {
  Items items = iterate(input);
  std::reverse(items.begin(), items.end());
  if (input.is_text()) return make_text(join(items, Text()));
  return make_generator(std::move(items));
}

Value replace_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'replace'", {"old", "new", "count"});
  const Value* count = bound.find(2);
  return make_text(replace(to_text(input), to_text(bound.require(0)).chars,
                           to_text(bound.require(1)),
                           count == nullptr || count->is_none() ? -1 : bound.integer(2, -1)));
}

Value default_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'default'", {"default_value", "boolean"});
  if (!input.is_undefined() && !(bound.flag(1, false) && !truthy(input))) return input;
  return bound.find(0) != nullptr ? *bound.find(0) : make_text("");
}

Value trim_filter(const Value& input, const Arguments& arguments) {
  const Bound bound(arguments, "filter 'trim'", {"chars"});
  const Value* characters = bound.find(0);
  const Text text = to_text(input);
  if (characters == nullptr || characters->is_none()) {
    return make_text(strip(text, nullptr, true, true));
  }
  const Text set = to_text(*characters);
  return make_text(strip(text, &set, true, true));
}

// Jinja's title: a word begins after white space, '-', '(', '[', '{' and '<'.
Value title_filter(const Value& input) {
  const Text text = to_text(input);
  Text out;
  bool starts = true;
  for (std::size_t at = 0; at < text.chars.size();) {
    std::size_t end = at;
    const char32_t c = next_code_point(text.chars, end);
    const bool separates =
        is_python_space(c) || c == '-' || c == '(' || c == '[' || c == '{' || c == '<';
    const Text character = text.slice(at, end);
    out.append(starts && !separates ? upper(character) : lower(character));
    starts = separates;
    at = end;
  }
  return make_text(std::move(out));
}

Value first_filter(const Value& input) {
  Items items = iterate(input);
  return items.empty() ? make_undefined("No first item, sequence was empty.") : items.front();
}

Value last_filter(const Value& input) {
  if (input.get<std::shared_ptr<const Generator>>() != nullptr) {
    fail("'generator' object is not reversible");
  }
  Items items = iterate(input);
  return items.empty() ? make_undefined("No last item, sequence was empty.") : items.back();
}

using Filter = std::function<Value(const Value&, const Arguments&, Budget&)>;

// A filter without arguments.
Filter plain(Value (*filter)(const Value&)) {
  return [filter](const Value& input, const Arguments& arguments, Budget&) {
    Bound(arguments, "this filter", {});
    return filter(input);
  };
}
Filter with_arguments(Value (*filter)(const Value&, const Arguments&)) {
  return [filter](const Value& input, const Arguments& arguments, Budget&) {
    return filter(input, arguments);
  };
}

const std::unordered_map<std::string_view, Filter>& filters() {
  static const std::unordered_map<std::string_view, Filter> kFilters = [] {
    std::unordered_map<std::string_view, Filter> map;
    map["abs"] = plain(abs_filter);
    map["attr"] = with_arguments([](const Value& input, const Arguments& arguments) {
      const Bound bound(arguments, "filter 'attr'", {"name"});
      const Text* name = bound.require(0).text();
      if (name == nullptr) fail("filter 'attr' needs a name");
      // Unlike the dot, attr() never looks at keys.
      Value value = get_attribute(input, name->chars);
      const bool is_method = value.is<std::shared_ptr<const Method>>();
      if (input.dict() == nullptr || is_method) return value;
      return make_undefined("'dict object' has no attribute '" + name->chars + "'");
    });
    map["capitalize"] = plain([](const Value& v) { return make_text(capitalize(to_text(v))); });
    map["count"] = map["length"] = plain([](const Value& v) { return Value(length(v)); });
    map["d"] = map["default"] = with_arguments(default_filter);
    map["dictsort"] = dictsort_filter;
    map["e"] = map["escape"] =
        plain([](const Value& v) { return make_text(escape_html(to_text(v))); });
    map["first"] = plain(first_filter);
    map["float"] = with_arguments(float_filter);
    map["indent"] = with_arguments(indent_filter);
    map["int"] = with_arguments(int_filter);
    map["items"] = plain(items_filter);
    map["join"] = with_arguments(join_filter);
    map["last"] = plain(last_filter);
    map["list"] = plain([](const Value& v) { return make_sequence(iterate(v)); });
    map["lower"] = plain([](const Value& v) { return make_text(lower(to_text(v))); });
    map["map"] = map_filter;
    map["max"] = with_arguments(
        [](const Value& v, const Arguments& a) { return extreme_filter(v, a, true); });
    map["min"] = with_arguments(
        [](const Value& v, const Arguments& a) { return extreme_filter(v, a, false); });
    map["replace"] = with_arguments(replace_filter);
    map["reverse"] = plain(reverse_filter);
    map["round"] = with_arguments(round_filter);
    map["safe"] = plain([](const Value& v) {
      Text text = to_text(v);
      text.markup = true;
      return make_text(std::move(text));
    });
    map["select"] = [](const Value& v, const Arguments& a, Budget& b) {
      return select_filter(v, a, true, false, b);
    };
    map["reject"] = [](const Value& v, const Arguments& a, Budget& b) {
      return select_filter(v, a, false, false, b);
    };
    map["selectattr"] = [](const Value& v, const Arguments& a, Budget& b) {
      return select_filter(v, a, true, true, b);
    };
    map["rejectattr"] = [](const Value& v, const Arguments& a, Budget& b) {
      return select_filter(v, a, false, true, b);
    };
    map["sort"] = sort_filter;
    map["string"] = plain([](const Value& v) { return make_text(to_text(v)); });
    map["sum"] = sum_filter;
    map["title"] = plain(title_filter);
    map["tojson"] = with_arguments(tojson_filter);
    map["trim"] = with_arguments(trim_filter);
    map["unique"] = unique_filter;
    map["upper"] = plain([](const Value& v) { return make_text(upper(to_text(v))); });
    return map;
  }();
  return kFilters;
}

}  // namespace

Value call_filter(std::string_view name, const Value& input, const Arguments& arguments,
                  Budget& budget) {
  const auto found = filters().find(name);
  if (found == filters().end()) {
    fail("unknown or unsupported filter " + quote_for_message(name));
  }
  const Budget::Call call(budget);
  if (const Text* text = input.text()) budget.work(text->chars.size() / 2);
  if (const Sequence* sequence = input.sequence()) budget.work(sequence->items.size());
  return budget.made(found->second(input, arguments, budget));
}

bool is_filter(std::string_view name) { return filters().contains(name); }

}  // namespace tessera::jinja
