#include "api/wire_fields.h"

namespace tessera::api {
namespace {

void write_sampling(JsonWriter& w, const GenerationFields& fields, const WireOptions& wire) {
  const auto given = [&](std::string_view name, const auto& maybe) {
    if (maybe) w.member(name, *maybe);
  };
  const auto changed = [&](std::string_view name, const auto& value, const auto& initial) {
    if (value != initial) w.member(name, value);
  };
  const auto filled = [&](std::string_view name, const auto& list) {
    if (!list.empty()) w.list(name, list);
  };
  const GenerationFields initial;
  given(fields.max_tokens_is_completion ? "max_completion_tokens" : "max_tokens",
        fields.max_tokens);
  given("temperature", fields.temperature);
  given("top_p", fields.top_p);
  given("top_k", fields.top_k);
  changed("min_p", fields.min_p, initial.min_p);
  changed("frequency_penalty", fields.frequency_penalty, initial.frequency_penalty);
  changed("presence_penalty", fields.presence_penalty, initial.presence_penalty);
  changed("repetition_penalty", fields.repetition_penalty, initial.repetition_penalty);
  if (!fields.logit_bias.empty()) {
    w.key("logit_bias").begin_object();
    for (const auto& [id, bias] : fields.logit_bias) w.member(std::to_string(id), bias);
    w.end_object();
  }
  given("seed", fields.seed);
  changed("n", fields.n, initial.n);
  filled("stop", fields.stop);
  filled("stop_token_ids", fields.stop_token_ids);
  changed("min_tokens", fields.min_tokens, initial.min_tokens);
  changed("ignore_eos", fields.ignore_eos, initial.ignore_eos);
  changed("include_stop_str_in_output", fields.include_stop_str_in_output, false);
  changed("skip_special_tokens", fields.skip_special_tokens, true);
  changed("spaces_between_special_tokens", fields.spaces_between_special_tokens, true);
  filled("bad_words", fields.bad_words);
  filled("allowed_token_ids", fields.allowed_token_ids);
  changed("echo", fields.echo, false);
  given("add_special_tokens", fields.add_special_tokens);
  given("prompt_logprobs", fields.prompt_logprobs);
  given("truncate_prompt_tokens", fields.truncate_prompt_tokens);
  changed("return_token_ids", fields.return_token_ids, false);
  changed("return_tokens_as_token_ids", fields.return_tokens_as_token_ids, false);
  changed("priority", fields.priority, 0);
  changed("request_id", fields.request_id, initial.request_id);
  if (wire.tessera_fields) changed("include_stop_reason", fields.include_stop_reason, false);
}

}  // namespace

void write_common(JsonWriter& w, const CommonFields& fields, const WireOptions& wire) {
  const std::string_view model = wire.model.empty() ? fields.model : wire.model;
  if (!model.empty() && wire.with_model) w.member("model", model);
  if (!wire.end_user_fields || wire.members) return;
  if (!fields.user.empty()) w.member("user", fields.user);
  if (!fields.metadata.empty()) {
    w.key("metadata").begin_object();
    for (const auto& [key, value] : fields.metadata) w.member(key, value);
    w.end_object();
  }
}

void write_members(JsonWriter& w, const WireOptions& wire) {
  if (!wire.members->empty()) w.raw(*wire.members);
}

void write_generation(JsonWriter& w, const GenerationFields& fields, const WireOptions& wire) {
  if (wire.members) {
    write_members(w, wire);
  } else {
    write_sampling(w, fields, wire);
  }
  if (!fields.stream) return;
  w.member("stream", true);
  if (!wire.stream_options) return;
  const bool usage = fields.include_usage || wire.usage_in_stream;
  const bool in_chunks = fields.continuous_usage_stats || wire.usage_in_chunks;
  if (!usage && !in_chunks) return;
  w.key("stream_options").begin_object();
  if (usage) w.member("include_usage", true);
  if (in_chunks) w.member("continuous_usage_stats", true);
  w.end_object();
}

void write_usage(JsonWriter& w, const Usage& usage) {
  w.key("usage").begin_object().member("prompt_tokens", usage.prompt_tokens);
  if (usage.completion_tokens) w.member("completion_tokens", *usage.completion_tokens);
  w.member("total_tokens", usage.total_tokens);
  if (usage.cached_tokens || usage.cache_write_tokens || !usage.prompt_extra.empty()) {
    w.key("prompt_tokens_details").begin_object();
    if (usage.cached_tokens) w.member("cached_tokens", *usage.cached_tokens);
    if (usage.cache_write_tokens) w.member("cache_write_tokens", *usage.cache_write_tokens);
    write_extra(w, usage.prompt_extra);
    w.end_object();
  }
  if (usage.reasoning_tokens || !usage.completion_extra.empty()) {
    w.key("completion_tokens_details").begin_object();
    if (usage.reasoning_tokens) w.member("reasoning_tokens", *usage.reasoning_tokens);
    write_extra(w, usage.completion_extra);
    w.end_object();
  }
  write_extra(w, usage.extra);
  w.end_object();
}

void write_usage(JsonWriter& w, const std::optional<Usage>& usage, bool null_usage) {
  if (usage) {
    write_usage(w, *usage);
  } else if (null_usage) {
    w.member("usage", nullptr);
  }
}

void write_finish(JsonWriter& w, const std::optional<FinishReason>& reason,
                  const std::optional<StopReason>& stop) {
  if (reason) {
    w.member("finish_reason", to_string(*reason));
  } else {
    w.member("finish_reason", nullptr);
  }
  if (!stop) return;
  w.key("stop_reason");
  if (const auto* text = std::get_if<std::string>(&*stop)) {
    w.value(*text);
  } else if (const auto* id = std::get_if<std::int64_t>(&*stop)) {
    w.value(*id);
  } else {
    w.value(nullptr);
  }
}

void write_timings(JsonWriter& w, const Timings& timings) {
  w.key("timings")
      .begin_object()
      .member("queue_ms", timings.queue_ms)
      .member("prefill_ms", timings.prefill_ms)
      .member("ttft_ms", timings.ttft_ms)
      .member("decode_ms", timings.decode_ms)
      .member("tokens_per_s", timings.tokens_per_s)
      .end_object();
}

std::string to_json(const Timings& timings) {
  JsonWriter w(160);
  write_timings(w.begin_object(), timings);
  // The object alone, without the key it has inside a chunk.
  constexpr std::string_view kKey = "{\"timings\":";
  return w.take().substr(kKey.size());
}

void write_extra(JsonWriter& w, const StringPairs& extra) {
  for (const auto& [name, json] : extra) w.key(name).raw(json);
}

void write_token_ids(JsonWriter& w, std::string_view name,
                     const std::optional<std::vector<std::int32_t>>& ids) {
  if (ids) w.list(name, *ids);
}

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kContentFilter:
      return "content_filter";
    case FinishReason::kFunctionCall:
      return "function_call";
  }
  return "stop";
}

}  // namespace tessera::api
