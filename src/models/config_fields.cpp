#include "models/config_fields.h"

#include <boost/json/serialize.hpp>
#include <cmath>

#include "base/strings.h"
#include "models/json_file.h"

namespace tessera {

namespace json = boost::json;

void Fields::fail(std::string_view key, const std::string& what, ErrorKind kind) const {
  throw Error(kind, file_ + ": key '" + prefix_ + std::string(key) + "' " + what);
}

void Fields::wrong(std::string_view key, const json::value& got, std::string_view wanted) const {
  fail(key, "is " + quote_for_message(json::serialize(got)) + ", wanted " + std::string(wanted));
}

const json::value* Fields::find(std::string_view key) const {
  const json::value* value = object_.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::optional<double> Fields::number(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong(key, *value, "a number");
  const double number = value->to_number<double>();
  if (!std::isfinite(number)) wrong(key, *value, "a finite number");
  return number;
}

double Fields::positive(std::string_view key, double otherwise) const {
  const double value = number(key).value_or(otherwise);
  if (!(value > 0)) wrong(key, *find(key), "a number above 0");
  return value;
}

std::optional<std::int64_t> Fields::integer(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  return as_integer(key, *value);
}

std::int64_t Fields::as_integer(std::string_view key, const json::value& value) const {
  if (value.is_int64()) return value.get_int64();
  if (value.is_double()) {
    const double number = value.get_double();
    if (std::fabs(number) < 0x1p53 && number == std::floor(number)) {
      return static_cast<std::int64_t>(number);
    }
  }
  wrong(key, value, "an integer");
}

int Fields::size(std::string_view key, std::optional<std::int64_t> otherwise, std::int64_t highest,
                 std::int64_t lowest) const {
  const std::optional<std::int64_t> value = integer(key);
  if (!value && !otherwise) fail(key, "is missing");
  const std::int64_t size = value.value_or(otherwise.value_or(0));
  if (size < lowest || size > highest) {
    fail(key, "is " + std::to_string(size) + ", wanted " + std::to_string(lowest) + " to " +
                  std::to_string(highest));
  }
  return static_cast<int>(size);
}

bool Fields::boolean(std::string_view key, bool otherwise) const {
  const json::value* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_bool()) wrong(key, *value, "true or false");
  return value->get_bool();
}

std::optional<std::string> Fields::text(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong(key, *value, "a string");
  return std::string(value->get_string());
}

std::optional<Fields> Fields::object(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) wrong(key, *value, "an object");
  return Fields(value->get_object(), file_, prefix_ + std::string(key) + ".");
}

void Fields::collect_ids(std::string_view key, std::vector<std::int32_t>& ids) const {
  const json::value* value = find(key);
  if (value == nullptr) return;
  const auto add = [&](const json::value& item) {
    const std::int64_t id = as_integer(key, item);
    if (id < 0 || id > kMaxTokenId) wrong(key, item, "a token id of 0 or more");
    ids.push_back(static_cast<std::int32_t>(id));
  };
  if (!value->is_array()) return add(*value);
  for (const json::value& item : value->get_array()) add(item);
}

Fields JsonObjectFile::fields() const {
  if (!root.is_object()) {
    throw Error(ErrorKind::kBadModelFile, file + ": must be a JSON object");
  }
  return Fields(root.get_object(), file);
}

std::optional<JsonObjectFile> read_object(const std::filesystem::path& file) {
  std::optional<json::value> root = read_json_file(file);
  if (!root) return std::nullopt;
  return JsonObjectFile{std::move(*root), file.string()};
}

}  // namespace tessera
