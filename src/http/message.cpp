#include "http/message.h"

#include <algorithm>

#include "base/strings.h"

namespace tessera::http {
namespace {

constexpr std::size_t kUsualFields = 8;  // of most messages: they grow once

}  // namespace

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (iequals(key, name)) return value;
  }
  return std::nullopt;
}

void Headers::set(std::string_view name, std::string value) {
  auto first = std::find_if(fields_.begin(), fields_.end(),
                            [&](const auto& field) { return iequals(field.first, name); });
  if (first == fields_.end()) {
    add(name, std::move(value));
    return;
  }
  first->second = std::move(value);
  fields_.erase(std::remove_if(first + 1, fields_.end(),
                               [&](const auto& field) { return iequals(field.first, name); }),
                fields_.end());
}

void Headers::add(std::string_view name, std::string value) {
  if (fields_.capacity() == 0) fields_.reserve(kUsualFields);
  fields_.emplace_back(name, std::move(value));
}

void Headers::erase(std::string_view name) {
  std::erase_if(fields_, [&](const auto& field) { return iequals(field.first, name); });
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

Response Response::json(std::string body, int status) {
  Response response;
  response.status = status;
  response.headers.add("content-type", "application/json");
  response.body = std::move(body);
  return response;
}

}  // namespace tessera::http
