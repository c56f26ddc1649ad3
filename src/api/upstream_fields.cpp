#include "api/upstream_fields.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tessera::api {

json::object parse_upstream_object(std::string_view text, json::storage_ptr storage) {
  try {
    return parse_json_object(text, std::move(storage));
  } catch (const Error& error) {
    Error bad(ErrorKind::kUpstreamBadGateway,
              "The upstream's answer is not JSON: " + error.message);
    bad.code = "provider_bad_response";
    throw bad;
  }
}

std::optional<std::string> maybe_text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  if (text == nullptr) return std::nullopt;
  return std::string(text->data(), text->size());
}

std::string text_or_empty(const json::object& object, std::string_view name) {
  return maybe_text(object, name).value_or(std::string());
}

std::optional<std::int64_t> maybe_int(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !is_integral(*value)) return std::nullopt;
  return as_int(*value, name);
}

std::int64_t int_or_zero(const json::object& object, std::string_view name) {
  return maybe_int(object, name).value_or(0);
}

std::optional<double> maybe_number(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return as_number(*value, name);
}

int index_or(const json::object& object, int otherwise) {
  const std::int64_t index = maybe_int(object, "index").value_or(otherwise);
  return std::in_range<int>(index) ? static_cast<int>(index) : otherwise;
}

const json::array& array_or_empty(const json::object& object, std::string_view name) {
  static const json::array kEmpty;
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_array() ? value->get_array() : kEmpty;
}

const json::object& object_or_empty(const json::object& object, std::string_view name) {
  static const json::object kEmpty;
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : kEmpty;
}

StringPairs read_extra(const json::object& object, std::initializer_list<std::string_view> known) {
  StringPairs extra;
  for (const auto& [name, value] : object) {
    if (std::ranges::find(known, std::string_view(name)) != known.end()) continue;
    extra.emplace_back(name, tessera::to_json(value));
  }
  return extra;
}

namespace {

std::optional<Usage> usage_from(const json::object& usage) {
  if (usage.empty()) return std::nullopt;
  Usage out;
  out.prompt_tokens = int_or_zero(usage, "prompt_tokens");
  out.completion_tokens = maybe_int(usage, "completion_tokens");
  const std::int64_t sum = out.prompt_tokens + out.completion_tokens.value_or(0);
  out.total_tokens = maybe_int(usage, "total_tokens").value_or(sum);
  const json::object& prompt = object_or_empty(usage, "prompt_tokens_details");
  const json::object& completion = object_or_empty(usage, "completion_tokens_details");
  out.cached_tokens = maybe_int(prompt, "cached_tokens");
  out.cache_write_tokens = maybe_int(prompt, "cache_write_tokens");
  out.reasoning_tokens = maybe_int(completion, "reasoning_tokens");
  out.prompt_extra = read_extra(prompt, {"cached_tokens", "cache_write_tokens"});
  out.completion_extra = read_extra(completion, {"reasoning_tokens"});
  out.extra = read_extra(usage, {"prompt_tokens", "completion_tokens", "total_tokens",
                                 "prompt_tokens_details", "completion_tokens_details"});
  return out;
}

}  // namespace

std::optional<Usage> read_usage(const json::object& object) {
  return usage_from(object_or_empty(object, "usage"));
}

std::optional<Usage> parse_usage(std::string_view text) {
  unsigned char first[1024];  // enough for a usage; more goes to the heap
  json::monotonic_resource memory(first, sizeof first);
  boost::system::error_code error;
  const json::value value = json::parse(text, error, &memory);
  if (error || !value.is_object()) return std::nullopt;
  return usage_from(value.get_object());
}

std::optional<FinishReason> read_finish_reason(const json::object& choice) {
  const std::optional<std::string> text = maybe_text(choice, "finish_reason");
  if (!text || text->empty()) return std::nullopt;  // "" comes from some who mean null
  for (const FinishReason reason :
       {FinishReason::kStop, FinishReason::kLength, FinishReason::kToolCalls,
        FinishReason::kContentFilter, FinishReason::kFunctionCall}) {
    if (*text == to_string(reason)) return reason;
  }
  return FinishReason::kStop;  // data-plane 2.11: a value nobody knows ends the choice all the same
}

std::optional<StopReason> read_stop_reason(const json::object& choice) {
  const json::value* value = choice.if_contains("stop_reason");
  if (value == nullptr) return std::nullopt;
  if (is_integral(*value)) return StopReason(as_int(*value, "stop_reason"));
  if (value->is_string()) return StopReason(text_or_empty(choice, "stop_reason"));
  return StopReason();
}

std::optional<Timings> read_timings(const json::object& object) {
  const json::object& timings = object_or_empty(object, "timings");
  if (timings.empty()) return std::nullopt;
  return Timings{.queue_ms = maybe_number(timings, "queue_ms"),
                 .prefill_ms = maybe_number(timings, "prefill_ms"),
                 .ttft_ms = maybe_number(timings, "ttft_ms"),
                 .decode_ms = maybe_number(timings, "decode_ms"),
                 .tokens_per_s = maybe_number(timings, "tokens_per_s")};
}

std::optional<std::vector<std::int32_t>> read_wire_ids(const json::object& object,
                                                       std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<std::int32_t> ids;
  ids.reserve(value->get_array().size());
  for (const json::value& id : value->get_array()) {
    if (is_integral(id)) ids.push_back(static_cast<std::int32_t>(as_int(id, name)));
  }
  return ids;
}

}  // namespace tessera::api
