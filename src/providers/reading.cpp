#include "providers/reading.h"

#include <algorithm>
#include <cmath>

#include "base/crypto.h"
#include "base/strings.h"
#include "providers/failure.h"

namespace tessera::providers {

json::object read_answer(std::string_view provider, std::string_view body) {
  try {
    return parse_json_object(body);
  } catch (const Error& error) {
    throw bad_response(provider, error.message);
  }
}

const json::value* value_at(const json::object& object, std::string_view path) {
  const std::size_t dot = path.find('.');
  const json::value* value = object.if_contains(path.substr(0, dot));
  if (value == nullptr || value->is_null()) return nullptr;
  if (dot == path.npos) return value;
  const json::object* inner = value->if_object();
  return inner == nullptr ? nullptr : value_at(*inner, path.substr(dot + 1));
}

std::string text_at(const json::object& object, std::string_view path) {
  const json::value* value = value_at(object, path);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string id_at(const json::object& object, std::string_view path) {
  const json::value* value = value_at(object, path);
  if (value == nullptr || value->is_structured() || value->is_bool()) return {};
  return value->is_string() ? std::string(value->get_string()) : tessera::to_json(*value);
}

std::optional<double> number_at(const json::object& object, std::string_view path) {
  const json::value* value = value_at(object, path);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

std::optional<std::int64_t> count_at(const json::object& object, std::string_view path) {
  constexpr double kMost = 1e15;  // beyond it the number is nonsense, and a cast undefined
  const std::optional<double> number = number_at(object, path);
  if (!number) return std::nullopt;
  return std::llround(std::clamp(*number, 0.0, kMost));
}

bool flag_at(const json::object& object, std::string_view path) {
  const json::value* value = value_at(object, path);
  return value != nullptr && value->is_bool() && value->get_bool();
}

const json::array& list_at(const json::object& object, std::string_view path) {
  static const json::array kEmpty;
  const json::value* value = value_at(object, path);
  return value != nullptr && value->is_array() ? value->get_array() : kEmpty;
}

const json::object& object_at(const json::object& object, std::string_view path) {
  static const json::object kEmpty;
  const json::value* value = value_at(object, path);
  return value != nullptr && value->is_object() ? value->get_object() : kEmpty;
}

api::Usage usage_of(std::int64_t prompt_tokens, std::int64_t completion_tokens) {
  api::Usage usage;
  usage.prompt_tokens = prompt_tokens;
  usage.completion_tokens = completion_tokens;
  usage.total_tokens = prompt_tokens + completion_tokens;
  return usage;
}

std::optional<api::Usage> usage_of_invocation(const WireResponse& wire) {
  const auto input = parse_int(wire.header("x-amzn-bedrock-input-token-count"));
  const auto output = parse_int(wire.header("x-amzn-bedrock-output-token-count"));
  if (!input && !output) return std::nullopt;
  return usage_of(input.value_or(0), output.value_or(0));
}

std::optional<api::Usage> usage_of_invocation(const json::object& event) {
  const json::object& metrics = object_at(event, "amazon-bedrock-invocationMetrics");
  if (metrics.empty()) return std::nullopt;
  return usage_of(count_at(metrics, "inputTokenCount").value_or(0),
                  count_at(metrics, "outputTokenCount").value_or(0));
}

std::string make_id(std::string_view prefix, const Memo& memo) {
  return std::string(prefix) + sha256_hex(std::to_string(memo.seed)).substr(0, 32);
}

std::string or_else(std::string chosen, std::string_view otherwise) {
  return chosen.empty() ? std::string(otherwise) : chosen;
}

}  // namespace tessera::providers
