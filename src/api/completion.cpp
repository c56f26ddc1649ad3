#include "api/completion.h"

#include "api/field_table.h"
#include "api/text_or_tokens.h"
#include "api/upstream_fields.h"
#include "api/wire_fields.h"

namespace tessera::api {
namespace {

struct CompletionReading {
  CompletionRequest request;
  GenerationReading generation;
};

void read_suffix(CompletionReading& r, const json::value& value, const Reading& at) {
  const bool external = at.options.profile == Profile::kExternal;
  const std::string_view suffix =
      read_string(at.field, value, external ? std::string_view::npos : 8u << 10);
  if (!suffix.empty() && !at.options.allow_suffix) throw unsupported_parameter(at.field);
  r.request.suffix = suffix;
}

void read_error_behavior(CompletionReading& r, const json::value& value, const Reading& at) {
  const std::string_view behavior = read_string(at.field, value);
  if (behavior != "error" && behavior != "truncate") {
    throw bad_value(at.field, behavior, {"error", "truncate"});
  }
  r.request.error_behavior =
      behavior == "truncate" ? ErrorBehavior::kTruncate : ErrorBehavior::kError;
}

constexpr Field<CompletionReading> kCompletionFields[] = {
    {"prompt",
     [](CompletionReading& r, const json::value& v, const Reading& at) {
       r.request.prompts = read_text_or_tokens(v, at, at.options.max_prompts);
     }},
    {"suffix", read_suffix},
    {"error_behavior", read_error_behavior, kOurs},
    {"use_raw_prompt",
     [](CompletionReading& r, const json::value& v, const Reading& at) {
       r.request.use_raw_prompt = read_bool(at.field, v);
     },
     kOurs},
    {"best_of",
     [](CompletionReading& r, const json::value& v, const Reading& at) {
       const bool external = at.options.profile == Profile::kExternal;
       r.request.best_of = read_int(at.field, v, 1, external ? kMaxInt : 20);
     }},
    {"logprobs",
     [](CompletionReading& r, const json::value& v, const Reading& at) {
       r.request.logprobs = read_int(at.field, v, 0, at.options.max_logprobs);
     }},
};

void write_logprobs(JsonWriter& w, const std::optional<CompletionLogprobs>& logprobs) {
  w.key("logprobs");
  if (!logprobs) {
    w.value(nullptr);
    return;
  }
  w.begin_object().list("tokens", logprobs->tokens);
  w.list("token_logprobs", logprobs->token_logprobs);
  w.key("top_logprobs").begin_array();
  for (const auto& top : logprobs->top_logprobs) {
    if (!top) {
      w.value(nullptr);
      continue;
    }
    w.begin_object();
    for (const auto& [token, logprob] : *top) w.member(token, logprob);
    w.end_object();
  }
  w.end_array().list("text_offset", logprobs->text_offset).end_object();
}

std::optional<CompletionLogprobs> read_logprobs(const json::object& choice) {
  const json::object& object = object_or_empty(choice, "logprobs");
  if (object.empty()) return std::nullopt;
  CompletionLogprobs logprobs;
  for (const json::value& token : array_or_empty(object, "tokens")) {
    const json::string* text = token.if_string();
    logprobs.tokens.emplace_back(text == nullptr ? std::string_view() : std::string_view(*text));
  }
  for (const json::value& logprob : array_or_empty(object, "token_logprobs")) {
    auto& entry = logprobs.token_logprobs.emplace_back();
    if (logprob.is_number()) entry = static_cast<float>(as_number(logprob, "token_logprobs"));
  }
  for (const json::value& top : array_or_empty(object, "top_logprobs")) {
    auto& entry = logprobs.top_logprobs.emplace_back();
    if (!top.is_object()) continue;
    entry.emplace();
    for (const auto& [token, logprob] : top.get_object()) {
      if (!logprob.is_number()) continue;
      entry->emplace_back(token, static_cast<float>(as_number(logprob, "top_logprobs")));
    }
  }
  for (const json::value& offset : array_or_empty(object, "text_offset")) {
    if (is_integral(offset)) logprobs.text_offset.push_back(as_int(offset, "text_offset"));
  }
  return logprobs;
}

}  // namespace

CompletionRequest parse_completion_request(const Body& body, const ParseOptions& options) {
  CompletionReading reading;
  CompletionRequest& request = reading.request;
  read_members(
      body.object(), options, request.common, [&](std::string_view name, const json::value& value) {
        return apply<CompletionReading>(kCompletionFields, reading, name, value, options) ||
               apply(generation_fields(), reading.generation, name, value, options) ||
               apply(common_fields(), request.common, name, value, options);
      });
  if (options.model_required && request.common.model.empty()) throw_missing("model");
  if (request.prompts.empty()) throw_missing("prompt");
  const bool may_generate_nothing =
      reading.generation.fields.echo || reading.generation.fields.prompt_logprobs;
  request.generation =
      finish_generation(std::move(reading.generation), options, may_generate_nothing);
  if (request.best_of != 0 && options.profile != Profile::kExternal) {
    const int n = request.generation.n;
    check_range(std::int64_t{request.best_of}, n, 20, "best_of");
    if (request.best_of > n && request.generation.stream) {
      throw conflict("best_of", "stream", "the best can be told only at the end");
    }
  }
  return std::move(request);
}

std::string to_json(const CompletionRequest& request, const WireOptions& wire) {
  JsonWriter w(1024);
  write_common(w.begin_object(), request.common, wire);
  write_text_or_tokens(w, "prompt", request.prompts);
  write_generation(w, request.generation, wire);
  if (wire.members) return w.end_object().take();
  if (request.logprobs) w.member("logprobs", *request.logprobs);
  if (request.best_of != 0) w.member("best_of", request.best_of);
  if (!request.suffix.empty()) w.member("suffix", request.suffix);
  if (request.error_behavior == ErrorBehavior::kTruncate) w.member("error_behavior", "truncate");
  if (request.use_raw_prompt) w.member("use_raw_prompt", true);
  write_extra(w, request.common.extra);
  return w.end_object().take();
}

std::string to_json(const CompletionResponse& response) {
  JsonWriter w(512);
  w.begin_object().member("id", response.id).member("object", "text_completion");
  w.member("created", response.created).member("model", response.model);
  if (!response.system_fingerprint.empty()) {
    w.member("system_fingerprint", response.system_fingerprint);
  }
  w.key("choices").begin_array();
  for (const CompletionChoice& choice : response.choices) {
    w.begin_object().member("index", choice.index).member("text", choice.text);
    write_finish(w, choice.finish_reason, choice.stop_reason);
    write_logprobs(w, choice.logprobs);
    write_token_ids(w, "token_ids", choice.token_ids);
    write_token_ids(w, "prompt_token_ids", choice.prompt_token_ids);
    if (!choice.prompt_logprobs.empty()) w.key("prompt_logprobs").raw(choice.prompt_logprobs);
    write_extra(w, choice.extra);
    w.end_object();
  }
  w.end_array();
  if (response.timings) write_timings(w, *response.timings);
  write_extra(w, response.extra);
  write_usage(w, response.usage, response.null_usage);
  if (!response.served_model_name.empty()) {
    w.member("served_model_name", response.served_model_name);
  }
  return w.end_object().take();
}

CompletionResponse parse_completion_response(std::string_view text) {
  ScratchMemory memory;
  const json::object object = parse_upstream_object(text, &memory.resource);
  CompletionResponse response;
  response.id = text_or_empty(object, "id");
  response.created = int_or_zero(object, "created");
  response.model = text_or_empty(object, "model");
  response.system_fingerprint = text_or_empty(object, "system_fingerprint");
  for (const json::value& entry : array_or_empty(object, "choices")) {
    if (!entry.is_object()) continue;
    const json::object& choice = entry.get_object();
    response.choices.push_back({.index = index_or(choice, 0),
                                .text = text_or_empty(choice, "text"),
                                .finish_reason = read_finish_reason(choice),
                                .logprobs = read_logprobs(choice),
                                .stop_reason = read_stop_reason(choice),
                                .token_ids = read_wire_ids(choice, "token_ids"),
                                .prompt_token_ids = read_wire_ids(choice, "prompt_token_ids")});
    if (const json::value* prompt = find_field(choice, "prompt_logprobs")) {
      response.choices.back().prompt_logprobs = tessera::to_json(*prompt);
    }
    response.choices.back().extra =
        read_extra(choice, {"index", "text", "finish_reason", "logprobs", "stop_reason",
                            "token_ids", "prompt_token_ids", "prompt_logprobs"});
  }
  response.usage = read_usage(object);
  response.timings = read_timings(object);
  response.extra =
      read_extra(object, {"id", "object", "created", "model", "choices", "usage", "timings",
                          "system_fingerprint", "served_model_name", "obfuscation"});
  return response;
}

}  // namespace tessera::api
