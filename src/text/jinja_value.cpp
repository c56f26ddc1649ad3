#include "text/jinja_value.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>

#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera::jinja {

void fail(std::string message) { throw Failure{std::move(message)}; }

// --- Text ----------------------------------------------------------------------------------------

Text::Text(std::string characters, bool is_foreign) : chars(std::move(characters)) {
  if (is_foreign && !chars.empty()) foreign.push_back({0, chars.size()});
}

void Text::append(const Text& other) {
  const std::size_t shift = chars.size();
  chars += other.chars;
  for (const Range& range : other.foreign) {
    if (!foreign.empty() && foreign.back().end == range.begin + shift) {
      foreign.back().end = range.end + shift;
    } else {
      foreign.push_back({range.begin + shift, range.end + shift});
    }
  }
}

Text Text::slice(std::size_t begin, std::size_t end) const {
  Text out(chars.substr(begin, end - begin));
  for (const Range& range : foreign) {
    const std::size_t from = std::max(range.begin, begin), to = std::min(range.end, end);
    if (from < to) out.foreign.push_back({from - begin, to - begin});
  }
  return out;
}

// --- Construction --------------------------------------------------------------------------------

Value make_text(std::string chars, bool is_foreign) {
  return TextPtr(std::make_shared<Text>(std::move(chars), is_foreign));
}

Value make_text(Text text) {
  if (text.chars.size() > kMaxTextBytes) fail("a string exceeds 64 MiB");
  return TextPtr(std::make_shared<Text>(std::move(text)));
}

Value make_undefined(std::string why) {
  return Undefined{std::make_shared<const std::string>(std::move(why))};
}

Extent extent_of(const Value& value) {
  if (const Sequence* sequence = value.sequence()) return sequence->extent;
  if (const Dict* dict = value.dict()) return dict->extent;
  if (const auto* generator = value.get<std::shared_ptr<const Generator>>()) {
    return (*generator)->extent;
  }
  if (const auto* loop = value.get<std::shared_ptr<const Loop>>()) return (*loop)->items->extent;
  if (const auto* method = value.get<std::shared_ptr<const Method>>()) {
    Extent extent;
    extent.add((*method)->self);
    return extent;
  }
  return {0, 1};
}

void Extent::add(const Value& element) {
  const Extent inner = extent_of(element);
  depth = std::max(depth, inner.depth + 1);
  nodes += inner.nodes;
  if (depth > kMaxDepth) fail("a value is nested deeper than " + std::to_string(kMaxDepth));
  if (nodes > kMaxNodes) fail("a value has more than " + std::to_string(kMaxNodes) + " parts");
}

Value make_sequence(std::vector<Value> items, SequenceKind kind) {
  auto sequence = std::make_shared<Sequence>(Sequence{std::move(items), kind, {}});
  for (const Value& item : sequence->items) sequence->extent.add(item);
  return SequencePtr(std::move(sequence));
}

Value make_generator(std::vector<Value> items) {
  auto generator = std::make_shared<Generator>();
  generator->items = std::move(items);
  for (const Value& item : generator->items) generator->extent.add(item);
  return std::shared_ptr<const Generator>(std::move(generator));
}

Value make_dict(Dict dict) {
  dict.extent = {};
  for (const auto& [key, value] : dict.items) {
    dict.extent.add(key);
    dict.extent.add(value);
  }
  return DictPtr(std::make_shared<Dict>(std::move(dict)));
}

const Value* Dict::find_text(std::string_view key) const {
  const auto found = by_text.find(std::string(key));
  return found == by_text.end() ? nullptr : &items[found->second].second;
}

const Value* Dict::find(const Value& key) const {
  if (const Text* text = key.text()) return find_text(text->chars);
  if (by_text.size() == items.size()) return nullptr;
  for (const auto& [name, value] : items) {
    if (!name.is_text() && equal(name, key)) return &value;
  }
  return nullptr;
}

void Dict::set(Value key, Value value) {
  if (key.dict() != nullptr ||
      (key.sequence() != nullptr && key.sequence()->kind != SequenceKind::kTuple)) {
    fail("unhashable type: '" + type_name(key) + "'");
  }
  if (const Value* old = find(key)) {
    *const_cast<Value*>(old) = std::move(value);
    return;
  }
  if (const Text* text = key.text()) by_text.emplace(text->chars, items.size());
  items.emplace_back(std::move(key), std::move(value));
}

const Value* Namespace::find(std::string_view name) const {
  for (const auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Namespace::set(const std::string& name, Value value) {
  for (auto& [key, old] : attributes) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  if (attributes.size() >= 10000) fail("a namespace has more than 10000 attributes");
  attributes.emplace_back(name, std::move(value));
}

namespace {

Value from_json(const boost::json::value& json, int level) {
  if (level > kMaxDepth) fail("a value is nested deeper than " + std::to_string(kMaxDepth));
  const auto text = [](std::string_view chars) {
    return make_text(utf8_valid(chars) ? std::string(chars) : utf8_sanitize(chars), true);
  };
  switch (json.kind()) {
    case boost::json::kind::null:
      return None{};
    case boost::json::kind::bool_:
      return json.get_bool();
    case boost::json::kind::int64:
      return json.get_int64();
    case boost::json::kind::uint64:
      return static_cast<double>(json.get_uint64());  // beyond 63 bits; Python would keep them
    case boost::json::kind::double_:
      return json.get_double();
    case boost::json::kind::string:
      return text(json.get_string());
    case boost::json::kind::array: {
      std::vector<Value> items;
      items.reserve(json.get_array().size());
      for (const auto& item : json.get_array()) items.push_back(from_json(item, level + 1));
      return make_sequence(std::move(items));
    }
    case boost::json::kind::object: {
      Dict dict;
      for (const auto& [key, value] : json.get_object())
        dict.set(text(key), from_json(value, level + 1));
      return make_dict(std::move(dict));
    }
  }
  return None{};
}

}  // namespace

Value from_json(const boost::json::value& json) { return from_json(json, 1); }

// --- Questions -----------------------------------------------------------------------------------

std::string type_name(const Value& value) {
  struct Visitor {
    std::string operator()(const Undefined&) const { return "Undefined"; }
    std::string operator()(const None&) const { return "NoneType"; }
    std::string operator()(bool) const { return "bool"; }
    std::string operator()(std::int64_t) const { return "int"; }
    std::string operator()(double) const { return "float"; }
    std::string operator()(const TextPtr&) const { return "str"; }
    std::string operator()(const SequencePtr& sequence) const {
      switch (sequence->kind) {
        case SequenceKind::kList:
          return "list";
        case SequenceKind::kTuple:
          return "tuple";
        case SequenceKind::kRange:
          return "range";
        case SequenceKind::kKeys:
          return "dict_keys";
        case SequenceKind::kValues:
          return "dict_values";
        case SequenceKind::kItems:
          return "dict_items";
      }
      return "list";
    }
    std::string operator()(const DictPtr&) const { return "dict"; }
    std::string operator()(const std::shared_ptr<const Generator>&) const { return "generator"; }
    std::string operator()(Namespace*) const { return "Namespace"; }
    std::string operator()(const std::shared_ptr<const Loop>&) const { return "LoopContext"; }
    std::string operator()(const Macro*) const { return "Macro"; }
    std::string operator()(const std::shared_ptr<const Method>&) const { return "method"; }
    std::string operator()(Function) const { return "function"; }
  };
  return std::visit(Visitor{}, value.variant());
}

namespace {

bool is_number(const Value& value) {
  return value.is<bool>() || value.is<std::int64_t>() || value.is<double>();
}

double as_double(const Value& value) {
  if (const bool* b = value.get<bool>()) return *b ? 1.0 : 0.0;
  if (const auto* i = value.get<std::int64_t>()) return static_cast<double>(*i);
  return *value.get<double>();
}

// bool and int as int; only for numbers that are no float.
std::int64_t as_int(const Value& value) {
  if (const bool* b = value.get<bool>()) return *b ? 1 : 0;
  return *value.get<std::int64_t>();
}

// -1, 0, 1; 2 when one is NaN.
int compare_numbers(const Value& a, const Value& b) {
  if (a.is<double>() || b.is<double>()) {
    const double x = as_double(a), y = as_double(b);
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
  }
  const std::int64_t x = as_int(a), y = as_int(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

bool is_view(SequenceKind kind) {
  return kind == SequenceKind::kKeys || kind == SequenceKind::kValues ||
         kind == SequenceKind::kItems;
}

struct Truth {
  bool operator()(const Undefined&) const { return false; }
  bool operator()(const None&) const { return false; }
  bool operator()(bool b) const { return b; }
  bool operator()(std::int64_t i) const { return i != 0; }
  bool operator()(double d) const { return d != 0; }
  bool operator()(const TextPtr& text) const { return !text->chars.empty(); }
  bool operator()(const SequencePtr& sequence) const { return !sequence->items.empty(); }
  bool operator()(const DictPtr& dict) const { return !dict->items.empty(); }
  bool operator()(const std::shared_ptr<const Loop>& loop) const {
    return !loop->items->items.empty();
  }
  bool operator()(const auto&) const { return true; }
};

}  // namespace

bool truthy(const Value& value) { return std::visit(Truth{}, value.variant()); }

bool equal(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return compare_numbers(a, b) == 0;
  if (a.variant().index() != b.variant().index()) return false;
  if (a.is_undefined() || a.is_none()) return true;
  if (a.is_text()) return a.text()->chars == b.text()->chars;
  if (const Sequence* x = a.sequence()) {
    const Sequence* y = b.sequence();
    return x == y || (x->kind == y->kind && std::equal(x->items.begin(), x->items.end(),
                                                       y->items.begin(), y->items.end(), equal));
  }
  if (const Dict* x = a.dict()) {
    const Dict* y = b.dict();
    if (x == y) return true;
    if (x->items.size() != y->items.size()) return false;
    return std::all_of(x->items.begin(), x->items.end(), [&](const auto& item) {
      const Value* other = y->find(item.first);
      return other != nullptr && equal(item.second, *other);
    });
  }
  if (const auto* x = a.get<Namespace*>()) return *x == *b.get<Namespace*>();
  if (const auto* x = a.get<const Macro*>()) return *x == *b.get<const Macro*>();
  if (const auto* x = a.get<Function>()) return *x == *b.get<Function>();
  if (const auto* x = a.get<std::shared_ptr<const Generator>>()) {
    return *x == *b.get<std::shared_ptr<const Generator>>();
  }
  return false;
}

bool less(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return compare_numbers(a, b) == -1;
  if (a.is_text() && b.is_text()) return a.text()->chars < b.text()->chars;  // code point order
  const Sequence *x = a.sequence(), *y = b.sequence();
  if (x != nullptr && y != nullptr && x->kind == y->kind && !is_view(x->kind) &&
      x->kind != SequenceKind::kRange) {
    const std::size_t shorter = std::min(x->items.size(), y->items.size());
    for (std::size_t i = 0; i < shorter; ++i) {
      if (!equal(x->items[i], y->items[i])) return less(x->items[i], y->items[i]);
    }
    return x->items.size() < y->items.size();
  }
  fail("'<' not supported between instances of '" + type_name(a) + "' and '" + type_name(b) + "'");
}

bool contains(const Value& container, const Value& item) {
  if (const Text* text = container.text()) {
    const Text* part = item.text();
    if (part == nullptr) {
      fail("'in <string>' requires string as left operand, not " + type_name(item));
    }
    return text->chars.find(part->chars) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return dict->find(item) != nullptr;
  const auto is_item = [&](const Value& element) { return equal(element, item); };
  if (const Sequence* sequence = container.sequence()) {
    return std::any_of(sequence->items.begin(), sequence->items.end(), is_item);
  }
  const std::vector<Value> items = iterate(container);
  return std::any_of(items.begin(), items.end(), is_item);
}

std::vector<Value> iterate(const Value& value) {
  if (value.is_undefined()) return {};
  if (const Sequence* sequence = value.sequence()) return sequence->items;
  if (const Dict* dict = value.dict()) {
    std::vector<Value> keys;
    keys.reserve(dict->items.size());
    for (const auto& [key, ignored] : dict->items) keys.push_back(key);
    return keys;
  }
  if (const auto* generator = value.get<std::shared_ptr<const Generator>>()) {
    if ((*generator)->consumed) return {};
    (*generator)->consumed = true;
    return (*generator)->items;
  }
  if (const Text* text = value.text()) {
    if (text->chars.size() > (1u << 20)) fail("a string of more than 1 MiB cannot be walked");
    std::vector<Value> characters;
    for (std::size_t at = 0; at < text->chars.size();) {
      const std::size_t end = at + lead_length(text->chars[at]);
      characters.push_back(make_text(text->slice(at, end)));
      at = end;
    }
    return characters;
  }
  fail("'" + type_name(value) + "' object is not iterable");
}

std::int64_t length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (const Text* text = value.text()) {
    return static_cast<std::int64_t>(utf8_length(text->chars));
  }
  if (const Sequence* s = value.sequence()) return static_cast<std::int64_t>(s->items.size());
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->items.size());
  if (const auto* loop = value.get<std::shared_ptr<const Loop>>()) {
    return static_cast<std::int64_t>((*loop)->items->items.size());
  }
  fail("object of type '" + type_name(value) + "' has no len()");
}

// --- Printing ------------------------------------------------------------------------------------

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[32];
  // The shortest digits that read back, as d.ddde±XX, then laid out as Python does.
  const auto result =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(result.ptr - buffer));
  const std::size_t e = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  const std::string sign = text[0] == '-' ? "-" : "";
  int exponent = 0;
  const std::string_view exponent_text = text.substr(text[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    std::string out = sign + digits.substr(0, 1);
    if (count > 1) out += "." + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    const std::string number = std::to_string(std::abs(exponent));
    return out + (number.size() < 2 ? "0" : "") + number;
  }
  if (exponent < 0) {
    return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  }
  if (count <= exponent + 1) {
    return sign + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  }
  const auto point = static_cast<std::size_t>(exponent + 1);
  return sign + digits.substr(0, point) + "." + digits.substr(point);
}

bool is_python_space(char32_t c) { return (c >= 0x1c && c <= 0x1f) || is_white_space(c); }

namespace {

constexpr char kHex[] = "0123456789abcdef";

void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[value >> shift & 15u];
}

bool is_printable(char32_t c) {
  constexpr std::uint32_t kSeparators = 0x7 << 12;  // Zs Zl Zp
  return c == ' ' || (category_bit(c) & (kOther | kSeparators)) == 0;
}

void check_size(const std::string& out) {
  if (out.size() > kMaxTextBytes) fail("a string exceeds 64 MiB");
}

// str.__repr__
void append_text_repr(std::string& out, std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x7f ? c >= 0x20 : is_printable(c)) {
      out += text.substr(begin, at - begin);
    } else if (c < 0x100) {
      out += "\\x";
      append_hex(out, c, 2);
    } else if (c < 0x10000) {
      out += "\\u";
      append_hex(out, c, 4);
    } else {
      out += "\\U";
      append_hex(out, c, 8);
    }
  }
  out += quote;
  check_size(out);
}

// Python's repr of any value; tells whether something foreign went in.
class Printer {
 public:
  std::string out;
  bool foreign = false;

  void print(const Value& value) {
    std::visit([this](const auto& v) { write(v); }, value.variant());
  }

 private:
  void write(const Undefined&) { out += "Undefined"; }
  void write(const None&) { out += "None"; }
  void write(bool b) { out += b ? "True" : "False"; }
  void write(std::int64_t i) { out += std::to_string(i); }
  void write(double d) { out += float_repr(d); }
  void write(const TextPtr& text) {
    foreign |= text->has_foreign();
    append_text_repr(out, text->chars);
  }
  void write(const SequencePtr& sequence) {
    const bool tuple = sequence->kind == SequenceKind::kTuple;
    const bool view = is_view(sequence->kind);
    if (view) out += type_name(Value(sequence)) + "(";
    out += tuple ? '(' : '[';
    bool first = true;
    for (const Value& item : sequence->items) {
      if (!std::exchange(first, false)) out += ", ";
      print(item);
    }
    if (tuple && sequence->items.size() == 1) out += ',';
    out += tuple ? ')' : ']';
    if (view) out += ')';
    check_size(out);
  }
  void write(const DictPtr& dict) {
    out += '{';
    bool first = true;
    for (const auto& [key, value] : dict->items) {
      if (!std::exchange(first, false)) out += ", ";
      print(key);
      out += ": ";
      print(value);
    }
    out += '}';
    check_size(out);
  }
  void write(const std::shared_ptr<const Loop>& loop) {
    out += "<LoopContext " + std::to_string(loop->index0 + 1) + "/" +
           std::to_string(loop->items->items.size()) + ">";
  }
  void write(const std::shared_ptr<const Method>& method) {
    out += "<built-in method " + method->name + " of " + type_name(method->self) + " object>";
    foreign = true;  // the name may come from a message
  }
  void write(const auto& other) { out += "<" + type_name(Value(other)) + " object>"; }
};

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {
    foreign = style.item_separator.has_foreign() || style.key_separator.has_foreign();
  }
  std::string out;
  bool foreign = false;

  void write(const Value& value, int level) {
    if (value.is_none()) {
      out += "null";
    } else if (const bool* b = value.get<bool>()) {
      out += *b ? "true" : "false";
    } else if (const auto* i = value.get<std::int64_t>()) {
      out += std::to_string(*i);
    } else if (const auto* d = value.get<double>()) {
      write_float(*d);
    } else if (const Text* text = value.text()) {
      foreign |= text->has_foreign();
      write_string(text->chars);
    } else if (const Dict* dict = value.dict()) {
      write_dict(*dict, level);
    } else if (const Sequence* sequence = value.sequence();
               sequence != nullptr &&
               (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple)) {
      out += '[';
      bool first = true;
      for (const Value& item : sequence->items) {
        if (!std::exchange(first, false)) out += style_.item_separator.chars;
        break_line(level + 1);
        write(item, level + 1);
      }
      if (!first) break_line(level);
      out += ']';
    } else {
      fail("Object of type " + type_name(value) + " is not JSON serializable");
    }
    check_size(out);
  }

 private:
  void break_line(int level) {
    if (!style_.pretty) return;
    out += '\n';
    for (int i = 0; i < level; ++i) out += style_.indent;
  }

  void write_dict(const Dict& dict, int level) {
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(),
                       [](const auto* a, const auto* b) { return less(a->first, b->first); });
    }
    out += '{';
    bool first = true;
    for (const auto* item : items) {
      if (!std::exchange(first, false)) out += style_.item_separator.chars;
      break_line(level + 1);
      write_key(item->first);
      out += style_.key_separator.chars;
      write(item->second, level + 1);
    }
    if (!first) break_line(level);
    out += '}';
  }

  void write_key(const Value& key) {
    if (const Text* text = key.text()) {
      foreign |= text->has_foreign();
      write_string(text->chars);
    } else if (key.is_none() || is_number(key)) {
      out += '"';
      write(key, 0);
      out += '"';
    } else {
      fail("keys must be str, int, float, bool or None, not " + type_name(key));
    }
  }

  void write_float(double d) {
    out += std::isnan(d)   ? "NaN"
           : std::isinf(d) ? (d < 0 ? "-Infinity" : "Infinity")
                           : float_repr(d);
  }

  void write_string(std::string_view text) {
    out += '"';
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      const char32_t c = next_code_point(text, at);
      switch (c) {
        case '"':
          out += "\\\"";
          break;
        case '\\':
          out += "\\\\";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        case '\b':
          out += "\\b";
          break;
        case '\f':
          out += "\\f";
          break;
        default:
          if (c < 0x20 || (style_.ensure_ascii && c > 0x7e)) {
            write_escape(c);
          } else {
            out += text.substr(begin, at - begin);
          }
      }
    }
    out += '"';
  }

  void write_escape(char32_t c) {
    if (c >= 0x10000) {  // a surrogate pair
      out += "\\u";
      append_hex(out, 0xd800 + ((c - 0x10000) >> 10), 4);
      c = 0xdc00 + ((c - 0x10000) & 0x3ff);
    }
    out += "\\u";
    append_hex(out, c, 4);
  }

  const JsonStyle& style_;
};

}  // namespace

Text repr(const Value& value) {
  Printer printer;
  printer.print(value);
  return Text(std::move(printer.out), printer.foreign);
}

Text to_text(const Value& value) {
  if (const Text* text = value.text()) return *text;
  if (value.is_undefined()) return {};
  return repr(value);
}

Text to_json(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.write(value, 0);
  return Text(std::move(writer.out), writer.foreign);
}

}  // namespace tessera::jinja
