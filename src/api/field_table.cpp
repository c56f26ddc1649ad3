#include "api/field_table.h"

#include "base/strings.h"

namespace tessera::api {
namespace {

Error with_code(Error error, std::string_view code) {
  error.code = code;
  return error;
}

// A user's key as part of a path: cut like every echoed value (data-plane 5.2).
std::string key_path(std::string_view path, std::string_view key) {
  return join_path(path, utf8_prefix(key, 100));
}

}  // namespace

Error bad_value(std::string_view field, std::string_view got,
                std::initializer_list<std::string_view> allowed) {
  std::string list;
  for (const std::string_view value : allowed) {
    if (!list.empty()) list += ", ";
    list += quote_for_message(value);
  }
  return Error(ErrorKind::kBadValue,
               "Invalid value for " + quote_for_message(field) + ": received " +
                   quote_for_message(got) + ", but it must be one of " + list + ".",
               std::string(field));
}

Error empty_text(std::string_view field) {
  return Error(ErrorKind::kBadValue,
               "Invalid value for " + quote_for_message(field) + ": the text must not be empty.",
               std::string(field));
}

Error not_positive(std::string_view field) {
  return with_code(Error(ErrorKind::kOutOfRange,
                         "Invalid value for " + quote_for_message(field) +
                             ": received 0, but it must be above 0.",
                         std::string(field)),
                   "decimal_below_min_value");
}

Error not_supported_yet(std::string_view field) {
  return Error(ErrorKind::kUnsupportedParameter,
               "Unsupported parameter: " + quote_for_message(field) + " is not supported yet.",
               std::string(field));
}

Error unsupported_parameter(std::string_view field) {
  return Error(
      ErrorKind::kUnsupportedParameter,
      "Unsupported parameter: " + quote_for_message(field) + " is not supported by this endpoint.",
      std::string(field));
}

Error conflict(std::string_view field, std::string_view other, std::string_view rule) {
  return Error(ErrorKind::kConflictingFields,
               "Conflicting parameters " + quote_for_message(field) + " and " +
                   quote_for_message(other) + ": " + std::string(rule) + ".",
               std::string(field));
}

Error bad_message(std::string path, std::string_view rule) {
  std::string text = "Invalid message " + quote_for_message(path) + ": " + std::string(rule) + ".";
  return Error(ErrorKind::kBadMessage, std::move(text), std::move(path));
}

int read_int(std::string_view field, const json::value& value, int lowest, int highest) {
  const std::int64_t number = as_int(value, field);
  check_range(number, std::int64_t{lowest}, std::int64_t{highest}, field);
  return static_cast<int>(number);
}

double read_number(std::string_view field, const json::value& value, double lowest,
                   double highest) {
  const double number = as_number(value, field);
  check_range(number, lowest, highest, field);
  return number;
}

std::string_view read_string(std::string_view field, const json::value& value,
                             std::size_t max_characters) {
  const std::string_view text = as_string(value, field);
  // Few bytes cannot be too many characters: count only when they might.
  if (text.size() > max_characters) {
    const std::size_t length = utf8_length(text);
    if (length > max_characters) {
      throw with_code(Error(ErrorKind::kBadValue,
                            "Invalid value for " + quote_for_message(field) + ": received " +
                                std::to_string(length) + " characters, but it must have at most " +
                                std::to_string(max_characters) + ".",
                            std::string(field)),
                      "string_above_max_length");
    }
  }
  return text;
}

const json::array& read_array(std::string_view field, const json::value& value,
                              std::size_t shortest, std::size_t longest) {
  const json::array& array = as_array(value, field);
  check_length(array.size(), shortest, longest, field);
  return array;
}

StringPairs read_string_map(std::string_view field, const json::value& value, std::size_t max_pairs,
                            std::size_t max_key, std::size_t max_value) {
  const json::object& object = as_object(value, field);
  check_length(object.size(), 0, max_pairs, field);
  StringPairs pairs;
  pairs.reserve(object.size());
  for (const auto& [key, text] : object) {
    const std::string path = key_path(field, key);
    read_string(path, json::value(key), max_key);
    pairs.emplace_back(key, read_string(path, text, max_value));
  }
  return pairs;
}

std::int32_t read_token_id(std::string_view field, const json::value& value, int vocab_size) {
  const std::int64_t id = as_int(value, field);
  if (id < 0 || id > kMaxInt || (vocab_size > 0 && id >= vocab_size)) {
    throw Error(ErrorKind::kBadTokenId,
                "Invalid token id in " + quote_for_message(field) + ": " + std::to_string(id) +
                    " is not in the vocabulary" +
                    (vocab_size > 0 ? " of " + std::to_string(vocab_size) + " tokens." : "."),
                std::string(field));
  }
  return static_cast<std::int32_t>(id);
}

std::vector<std::int32_t> read_token_ids(std::string_view field, const json::value& value,
                                         std::size_t shortest, std::size_t longest,
                                         int vocab_size) {
  const json::array& array = read_array(field, value, shortest, longest);
  std::vector<std::int32_t> ids;
  ids.reserve(array.size());
  for (std::size_t i = 0; i < array.size(); ++i) {
    // The common case, without building a path for every token of a long prompt.
    const std::int64_t* id = array[i].if_int64();
    const bool fine =
        id != nullptr && *id >= 0 && *id <= kMaxInt && (vocab_size <= 0 || *id < vocab_size);
    ids.push_back(fine ? static_cast<std::int32_t>(*id)
                       : read_token_id(index_path(field, i), array[i], vocab_size));
  }
  return ids;
}

bool is_neutral(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return true;
    case json::kind::bool_:
      return !value.get_bool();
    case json::kind::int64:
      return value.get_int64() == 0;
    case json::kind::uint64:
      return value.get_uint64() == 0;
    case json::kind::double_:
      return value.get_double() == 0;
    case json::kind::string:
      return value.get_string().empty();
    case json::kind::array:
      return value.get_array().empty();
    case json::kind::object:
      return value.get_object().empty();
  }
  return false;
}

void unknown_field(std::string_view path, const ParseOptions& options,
                   std::vector<std::string>& ignored) {
  std::string name = utf8_sanitize(utf8_prefix(path, 100));
  if (options.profile == Profile::kDatabricks) {
    throw Error(ErrorKind::kUnknownField, "Bad request: json: unknown field \"" + name + "\"",
                name);
  }
  ignored.push_back(std::move(name));
}

void unknown_member(std::string_view path, std::string_view name, const json::value& value,
                    const ParseOptions& options, std::vector<std::string>& ignored,
                    StringPairs& extra) {
  if (options.profile != Profile::kExternal) return unknown_field(path, options, ignored);
  if (!value.is_null()) extra.emplace_back(name, tessera::to_json(value));
}

json::object expand_extra_params(const json::object& body) {
  json::object expanded;
  const json::value* extra = find_field(body, "extra_params");
  if (extra == nullptr) return expanded;
  for (const auto& [name, value] : as_object(*extra, "extra_params")) {
    const std::string path = key_path("extra_params", name);
    const std::string_view text = as_string(value, path);
    if (find_field(body, name) != nullptr) {
      throw conflict(path, name, "the field is given twice");
    }
    boost::system::error_code error;
    json::value parsed = json::parse(text, error);
    expanded.emplace(name, error ? json::value(json::string(text)) : std::move(parsed));
  }
  return expanded;
}

}  // namespace tessera::api
