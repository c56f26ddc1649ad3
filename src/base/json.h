// JSON in and out by the rules of the API (data-plane 0.3): UTF-8 only, nesting up to 256, the last
// of duplicate keys wins, `null` is the same as absent, an integral float is an integer.
//
// Readers take the object, a field and the dotted path of the object itself (empty at top level;
// "messages[2]" inside an array); errors name the full path. No reader keeps a reference.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

namespace json = boost::json;

// Throws Error(kBadJson) with the parser's reason and the byte offset; Error(kOutOfRange) for a
// number that overflows a double. A byte-order mark at the start is skipped.
json::value parse_json(std::string_view text, json::storage_ptr storage = {});
// The same, for a body: anything but an object at top level is Error(kBadJson).
json::object parse_json_object(std::string_view text, json::storage_ptr storage = {});

// Compact JSON, UTF-8 unescaped, keys in order, doubles with the shortest digits that round-trip.
// Invalid UTF-8 becomes U+FFFD and non-finite numbers null, so the result is always valid JSON.
std::string to_json(const json::value& value);
void append_json(std::string& out, const json::value& value);
void append_json(std::string& out, const json::object& object);
void append_json_string(std::string& out, std::string_view text);  // with the quotes

// "messages[2]" + "content" -> "messages[2].content"; "" + "n" -> "n".
std::string join_path(std::string_view path, std::string_view field);
std::string index_path(std::string_view path, std::size_t index);  // "stop" + 1 -> "stop[1]"

// What an error calls a value: "null", "a boolean", "an integer", "a number", "a string",
// "an array", "an object".
std::string_view type_name(const json::value& value);
// Error(kWrongType) for the value at `path`; expected: "an integer", "a string or an array", …
[[noreturn]] void throw_wrong_type(std::string_view path, std::string_view expected,
                                   const json::value& received);
[[noreturn]] void throw_missing(std::string_view path);  // Error(kMissingParam)

// The value of a field, or nullptr when it is absent or null.
const json::value* find_field(const json::object& object, std::string_view field);

// Absent or null gives nullopt/nullptr; another type throws Error(kWrongType). Pointers live as
// long as the object.
std::optional<std::string> get_string(const json::object& object, std::string_view field,
                                      std::string_view path = {});
std::optional<std::int64_t> get_int(const json::object& object, std::string_view field,
                                    std::string_view path = {});
std::optional<double> get_number(const json::object& object, std::string_view field,
                                 std::string_view path = {});
std::optional<bool> get_bool(const json::object& object, std::string_view field,
                             std::string_view path = {});
const json::array* get_array(const json::object& object, std::string_view field,
                             std::string_view path = {});
const json::object* get_object(const json::object& object, std::string_view field,
                               std::string_view path = {});
// Control-plane forms: a 64-bit integer that may come as a string of digits, and a string that may
// come as an integer (entity_version).
std::optional<std::int64_t> get_int_or_digits(const json::object& object, std::string_view field,
                                              std::string_view path = {});
std::optional<std::string> get_string_or_int(const json::object& object, std::string_view field,
                                             std::string_view path = {});

// Absent or null throws Error(kMissingParam).
std::string require_string(const json::object& object, std::string_view field,
                           std::string_view path = {});
std::int64_t require_int(const json::object& object, std::string_view field,
                         std::string_view path = {});
double require_number(const json::object& object, std::string_view field,
                      std::string_view path = {});
bool require_bool(const json::object& object, std::string_view field, std::string_view path = {});
const json::array& require_array(const json::object& object, std::string_view field,
                                 std::string_view path = {});
const json::object& require_object(const json::object& object, std::string_view field,
                                   std::string_view path = {});

// One value that stands at `path` (an array element, a field of several types).
std::string_view as_string(const json::value& value, std::string_view path);
std::int64_t as_int(const json::value& value, std::string_view path);
double as_number(const json::value& value, std::string_view path);
bool as_bool(const json::value& value, std::string_view path);
const json::array& as_array(const json::value& value, std::string_view path);
const json::object& as_object(const json::value& value, std::string_view path);
// True for an integer or a number with zero fraction that fits into 64 bits.
bool is_integral(const json::value& value);

// Throw Error(kOutOfRange) / Error(kArrayLength) naming the path, the value and the bound, with the
// codes integer_above_max_value, decimal_below_min_value, array_above_max_length, …
void check_range(std::int64_t value, std::int64_t lowest, std::int64_t highest,
                 std::string_view path);
void check_range(double value, double lowest, double highest, std::string_view path);
void check_length(std::size_t length, std::size_t lowest, std::size_t highest,
                  std::string_view path);

}  // namespace tessera
