#include "base/json.h"

#include <cmath>

#include "base/byte_scan.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera {
namespace {

constexpr std::size_t kMaxDepth = 256;  // data-plane 0.3
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

[[noreturn]] void throw_bad_json(std::string_view reason, std::size_t offset) {
  throw Error(ErrorKind::kBadJson,
              "Bad request: " + std::string(reason) + " at byte " + std::to_string(offset));
}

[[noreturn]] void throw_overflow(std::size_t offset) {
  throw Error(ErrorKind::kOutOfRange,
              "Number at byte " + std::to_string(offset) + " is too large for a double.");
}

// The next byte that a JSON string cannot hold as it is, or that must be checked for valid UTF-8.
std::size_t next_special(std::string_view text, std::size_t at) {
  const auto any = [](ByteFlags flags) {
    return flags.below(0x20) | flags.equal('"') | flags.equal('\\') | flags.not_ascii();
  };
  const auto is = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x80 ||
           c == '"' || c == '\\';
  };
  return scan(text, at, any, is);
}

bool has_infinite(const json::value& value) {
  switch (value.kind()) {
    case json::kind::double_:
      return !std::isfinite(value.get_double());
    case json::kind::array:
      for (const auto& element : value.get_array()) {
        if (has_infinite(element)) return true;
      }
      return false;
    case json::kind::object:
      for (const auto& member : value.get_object()) {
        if (has_infinite(member.value())) return true;
      }
      return false;
    default:
      return false;
  }
}

[[noreturn]] void throw_out_of_range(std::string_view path, std::string code, std::string value,
                                     std::string_view side, std::string bound) {
  Error error(ErrorKind::kOutOfRange,
              "Invalid value for '" + std::string(path) + "': received " + value +
                  ", but it must be " + std::string(side) + " " + bound + ".",
              std::string(path));
  error.code = std::move(code);
  throw error;
}

std::string print_double(double value) {
  if (!std::isfinite(value))
    return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  std::string out;
  append_double(out, value);
  return out;
}

// 2^63 as a double; the largest int64 itself is not one.
constexpr double kInt64Limit = 9223372036854775808.0;

// The path of a field, made only when an error or a nested reader needs it.
std::string path_of(std::string_view path, std::string_view field) {
  return join_path(path, field);
}

template <class Pointer>
auto& require(Pointer* value, std::string_view path, std::string_view field) {
  if (value == nullptr) throw_missing(path_of(path, field));
  return *value;
}

template <class T>
T require(std::optional<T> value, std::string_view path, std::string_view field) {
  if (!value) throw_missing(path_of(path, field));
  return std::move(*value);
}

std::optional<std::int64_t> integral(const json::value& value) {
  if (const auto* i = value.if_int64()) return *i;
  if (const auto* d = value.if_double()) {
    if (*d == std::trunc(*d) && *d >= -kInt64Limit && *d < kInt64Limit) {
      return static_cast<std::int64_t>(*d);
    }
  }
  return std::nullopt;
}

// An integer too large for 64 bits is a matter of range, not of type.
bool is_huge_integer(const json::value& value) {
  if (value.is_uint64()) return true;
  const auto* d = value.if_double();
  return d != nullptr && *d == std::trunc(*d);
}

}  // namespace

json::value parse_json(std::string_view text, json::storage_ptr storage) {
  std::size_t skipped = 0;
  if (text.substr(0, 3) == kByteOrderMark) {
    text.remove_prefix(3);
    skipped = 3;
  }
  json::parse_options options;
  options.max_depth = kMaxDepth;
  unsigned char scratch[4096];  // the parser's stack; it goes to the heap when this is full
  json::parser parser({}, options, scratch);
  parser.reset(std::move(storage));
  json::error_code error;
  std::size_t consumed = parser.write_some(text.data(), text.size(), error);
  if (error == json::error::exponent_overflow) throw_overflow(skipped + consumed);
  if (error) {
    if (error == json::error::incomplete) throw_bad_json("unexpected end of JSON", text.size());
    throw_bad_json(error.message(), skipped + consumed);
  }
  std::size_t rest = text.find_first_not_of(" \t\r\n", consumed);
  if (rest != std::string_view::npos) throw_bad_json("extra data after the JSON", skipped + rest);
  json::value value = parser.release();
  if (has_infinite(value)) throw_overflow(skipped);
  return value;
}

json::object parse_json_object(std::string_view text, json::storage_ptr storage) {
  json::value value = parse_json(text, std::move(storage));
  if (!value.is_object()) {
    throw Error(ErrorKind::kBadJson, "Bad request: the body must be a JSON object, but it is " +
                                         std::string(type_name(value)));
  }
  return std::move(value.get_object());
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;  // start of the run not yet copied
  for (std::size_t i = next_special(text, 0); i < text.size(); i = next_special(text, i)) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      if (std::size_t length = utf8_sequence_length(text.substr(i, 4)); length > 0) {
        i += length;
        continue;
      }
    }
    out.append(text, plain, i - plain);
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
      default:
        if (c < 0x20) {
          out += "\\u00";
          out += "0123456789abcdef"[c >> 4];
          out += "0123456789abcdef"[c & 15];
        } else {
          out += "\xEF\xBF\xBD";
        }
    }
    plain = ++i;
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

void append_json(std::string& out, const json::object& object) {
  out += '{';
  bool first = true;
  for (const auto& member : object) {
    if (!first) out += ',';
    first = false;
    append_json_string(out, {member.key().data(), member.key().size()});
    out += ':';
    append_json(out, member.value());
  }
  out += '}';
}

void append_json(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      break;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case json::kind::int64:
      out += std::to_string(value.get_int64());
      break;
    case json::kind::uint64:
      out += std::to_string(value.get_uint64());
      break;
    case json::kind::double_:
      append_double(out, value.get_double());
      break;
    case json::kind::string:
      append_json_string(out, {value.get_string().data(), value.get_string().size()});
      break;
    case json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& element : value.get_array()) {
        if (!first) out += ',';
        first = false;
        append_json(out, element);
      }
      out += ']';
      break;
    }
    case json::kind::object:
      append_json(out, value.get_object());
      break;
  }
}

std::string to_json(const json::value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

std::string join_path(std::string_view path, std::string_view field) {
  std::string out(path);
  if (!out.empty()) out += '.';
  return out += field;
}

std::string index_path(std::string_view path, std::size_t index) {
  return std::string(path) + "[" + std::to_string(index) + "]";
}

std::string_view type_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "unknown";
}

void throw_wrong_type(std::string_view path, std::string_view expected,
                      const json::value& received) {
  std::string message = "Invalid type for " + quote_for_message(path) + ": expected " +
                        std::string(expected) + ", but got " + std::string(type_name(received)) +
                        " instead.";
  throw Error(ErrorKind::kWrongType, std::move(message), std::string(path));
}

void throw_missing(std::string_view path) {
  throw Error(ErrorKind::kMissingParam, "Missing required parameter: '" + std::string(path) + "'.",
              std::string(path));
}

const json::value* find_field(const json::object& object, std::string_view field) {
  const json::value* value = object.if_contains(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string_view as_string(const json::value& value, std::string_view path) {
  if (const auto* s = value.if_string()) return {s->data(), s->size()};
  throw_wrong_type(path, "a string", value);
}

bool is_integral(const json::value& value) { return integral(value).has_value(); }

std::int64_t as_int(const json::value& value, std::string_view path) {
  if (auto i = integral(value)) return *i;
  if (is_huge_integer(value)) {
    bool above = value.is_uint64() || value.get_double() > 0;
    throw_out_of_range(path, above ? "integer_above_max_value" : "integer_below_min_value",
                       to_json(value), above ? "at most" : "at least",
                       std::to_string(above ? INT64_MAX : INT64_MIN));
  }
  throw_wrong_type(path, "an integer", value);
}

double as_number(const json::value& value, std::string_view path) {
  if (const auto* d = value.if_double()) return *d;
  if (const auto* i = value.if_int64()) return static_cast<double>(*i);
  if (const auto* u = value.if_uint64()) return static_cast<double>(*u);
  throw_wrong_type(path, "a number", value);
}

bool as_bool(const json::value& value, std::string_view path) {
  if (const auto* b = value.if_bool()) return *b;
  throw_wrong_type(path, "a boolean", value);
}

const json::array& as_array(const json::value& value, std::string_view path) {
  if (const auto* a = value.if_array()) return *a;
  throw_wrong_type(path, "an array", value);
}

const json::object& as_object(const json::value& value, std::string_view path) {
  if (const auto* o = value.if_object()) return *o;
  throw_wrong_type(path, "an object", value);
}

// The readers below build the path only on the way to an error: the common case allocates nothing.
std::optional<std::string> get_string(const json::object& object, std::string_view field,
                                      std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value == nullptr) return std::nullopt;
  if (const auto* s = value->if_string()) return std::string(s->data(), s->size());
  throw_wrong_type(path_of(path, field), "a string", *value);
}

std::optional<std::int64_t> get_int(const json::object& object, std::string_view field,
                                    std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value == nullptr) return std::nullopt;
  if (auto i = integral(*value)) return i;
  return as_int(*value, path_of(path, field));
}

std::optional<double> get_number(const json::object& object, std::string_view field,
                                 std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return as_number(*value, {});
  throw_wrong_type(path_of(path, field), "a number", *value);
}

std::optional<bool> get_bool(const json::object& object, std::string_view field,
                             std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value == nullptr) return std::nullopt;
  if (const auto* b = value->if_bool()) return *b;
  throw_wrong_type(path_of(path, field), "a boolean", *value);
}

const json::array* get_array(const json::object& object, std::string_view field,
                             std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value == nullptr) return nullptr;
  if (const auto* a = value->if_array()) return a;
  throw_wrong_type(path_of(path, field), "an array", *value);
}

const json::object* get_object(const json::object& object, std::string_view field,
                               std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value == nullptr) return nullptr;
  if (const auto* o = value->if_object()) return o;
  throw_wrong_type(path_of(path, field), "an object", *value);
}

std::optional<std::int64_t> get_int_or_digits(const json::object& object, std::string_view field,
                                              std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value == nullptr) return std::nullopt;
  if (const auto* s = value->if_string()) {
    if (auto i = parse_int({s->data(), s->size()})) return i;
    throw_wrong_type(path_of(path, field), "an integer or a string of digits", *value);
  }
  return get_int(object, field, path);
}

std::optional<std::string> get_string_or_int(const json::object& object, std::string_view field,
                                             std::string_view path) {
  const json::value* value = find_field(object, field);
  if (value == nullptr) return std::nullopt;
  if (auto i = integral(*value)) return std::to_string(*i);
  if (value->is_string()) return get_string(object, field, path);
  throw_wrong_type(path_of(path, field), "a string or an integer", *value);
}

std::string require_string(const json::object& object, std::string_view field,
                           std::string_view path) {
  return require(get_string(object, field, path), path, field);
}
std::int64_t require_int(const json::object& object, std::string_view field,
                         std::string_view path) {
  return require(get_int(object, field, path), path, field);
}
double require_number(const json::object& object, std::string_view field, std::string_view path) {
  return require(get_number(object, field, path), path, field);
}
bool require_bool(const json::object& object, std::string_view field, std::string_view path) {
  return require(get_bool(object, field, path), path, field);
}
const json::array& require_array(const json::object& object, std::string_view field,
                                 std::string_view path) {
  return require(get_array(object, field, path), path, field);
}
const json::object& require_object(const json::object& object, std::string_view field,
                                   std::string_view path) {
  return require(get_object(object, field, path), path, field);
}

void check_range(std::int64_t value, std::int64_t lowest, std::int64_t highest,
                 std::string_view path) {
  if (value < lowest) {
    throw_out_of_range(path, "integer_below_min_value", std::to_string(value), "at least",
                       std::to_string(lowest));
  }
  if (value > highest) {
    throw_out_of_range(path, "integer_above_max_value", std::to_string(value), "at most",
                       std::to_string(highest));
  }
}

void check_range(double value, double lowest, double highest, std::string_view path) {
  if (!(value >= lowest)) {  // also NaN
    throw_out_of_range(path, "decimal_below_min_value", print_double(value), "at least",
                       print_double(lowest));
  }
  if (value > highest) {
    throw_out_of_range(path, "decimal_above_max_value", print_double(value), "at most",
                       print_double(highest));
  }
}

void check_length(std::size_t length, std::size_t lowest, std::size_t highest,
                  std::string_view path) {
  if (length >= lowest && length <= highest) return;
  bool below = length < lowest;
  Error error(ErrorKind::kArrayLength,
              "Invalid length of '" + std::string(path) + "': it has " + std::to_string(length) +
                  " elements, but it must have at " + (below ? "least " : "most ") +
                  std::to_string(below ? lowest : highest) + ".",
              std::string(path));
  error.code = below ? "array_below_min_length" : "array_above_max_length";
  throw error;
}

}  // namespace tessera
