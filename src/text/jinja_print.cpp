// Values as text: str(), repr() and json.dumps() of Python.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja_kinds.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera::jinja {

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
