#include "api/messages_answer.h"

#include <algorithm>

#include "api/messages.h"
#include "api/translation.h"
#include "api/upstream_fields.h"
#include "base/json.h"

namespace tessera::api {
namespace {

std::string_view stop_reason_of(std::optional<FinishReason> reason,
                                const std::optional<StopReason>& stop, bool calls) {
  switch (reason.value_or(FinishReason::kStop)) {
    case FinishReason::kLength:
      return "max_tokens";
    case FinishReason::kContentFilter:
      return "refusal";
    case FinishReason::kToolCalls:
    case FinishReason::kFunctionCall:
      return "tool_use";
    case FinishReason::kStop:
      break;
  }
  if (calls) return "tool_use";
  return stop && std::holds_alternative<std::string>(*stop) ? "stop_sequence" : "end_turn";
}

void write_thinking(JsonWriter& w, std::string_view text, std::string_view signature) {
  w.begin_object().member("type", "thinking").member("thinking", text);
  w.member("signature", signature).end_object();
}

// Arguments that are no JSON object (cut off by the limit of tokens) cannot be told as one.
std::string input_of(const std::string& arguments) {
  boost::system::error_code bad;
  const json::value input = json::parse(arguments, bad);
  return !bad && input.is_object() ? tessera::to_json(input) : "{}";
}

void write_content(JsonWriter& w, const ChatChoice& choice) {
  w.key("content").begin_array();
  const std::vector<Thought> thoughts = thoughts_of(choice.thinking_blocks);
  for (const Thought& thought : thoughts) {
    if (thought.block.empty()) {
      write_thinking(w, thought.text, thought.signature);
    } else {
      w.raw(thought.block);
    }
  }
  if (thoughts.empty() && !choice.reasoning_content.empty()) {
    write_thinking(w, choice.reasoning_content, "");
  }
  for (const std::optional<std::string>* text : {&choice.message.content, &choice.refusal}) {
    if (!*text || (*text)->empty()) continue;
    w.begin_object().member("type", "text").member("text", **text).end_object();
  }
  for (const ToolCall& call : choice.message.tool_calls) {
    w.begin_object().member("type", "tool_use").member("id", call.id).member("name", call.name);
    w.key("input").raw(input_of(call.arguments)).end_object();
  }
  w.end_array();
}

std::string_view error_type(const Error& error) {
  switch (http_status(error.kind)) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return http_status(error.kind) < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

std::string message_id(std::string_view id) { return with_prefix("msg_", id); }

void write_stop(JsonWriter& w, std::optional<FinishReason> reason,
                const std::optional<StopReason>& stop, bool calls) {
  w.member("stop_reason", stop_reason_of(reason, stop, calls)).key("stop_sequence");
  const std::string* text = stop ? std::get_if<std::string>(&*stop) : nullptr;
  if (text != nullptr && !calls) {
    w.value(*text);
  } else {
    w.value(nullptr);
  }
}

// Ours counts what a cache gave or took with the prompt, theirs apart.
void write_messages_usage(JsonWriter& w, const Usage& usage) {
  const std::int64_t read = usage.cached_tokens.value_or(0);
  const std::int64_t written = usage.cache_write_tokens.value_or(0);
  w.key("usage").begin_object();
  w.member("input_tokens", std::max<std::int64_t>(0, usage.prompt_tokens - read - written));
  w.member("cache_creation_input_tokens", written).member("cache_read_input_tokens", read);
  w.member("output_tokens", usage.completion_tokens.value_or(0)).end_object();
}

std::vector<Thought> thoughts_of(std::string_view blocks) {
  std::vector<Thought> thoughts;
  if (blocks.empty()) return thoughts;
  const json::value array = parse_json(blocks);
  if (!array.is_array()) return thoughts;
  for (const json::value& value : array.get_array()) {
    const json::object* block = value.if_object();
    if (block == nullptr) continue;
    const std::string type = text_or_empty(*block, "type");
    if (type == "thinking") {
      thoughts.push_back(
          {text_or_empty(*block, "thinking"), text_or_empty(*block, "signature"), {}});
    } else if (type == "reasoning") {
      Thought& thought = thoughts.emplace_back();
      for (const json::value& entry : array_or_empty(*block, "summary")) {
        if (!entry.is_object()) continue;
        thought.text += text_or_empty(entry.get_object(), "text");
        thought.signature += text_or_empty(entry.get_object(), "signature");
      }
    } else {
      thoughts.push_back({.block = tessera::to_json(value)});
    }
  }
  return thoughts;
}

JsonWriter event_object(std::string_view type) {
  JsonWriter w(192);
  w.begin_object().member("type", type);
  return w;
}

std::string messages_json(const ChatResponse& response) {
  const ChatChoice& choice = first_choice(response);
  JsonWriter w(1024);
  w.begin_object().member("id", message_id(response.id)).member("type", "message");
  w.member("role", "assistant").member("model", response.model);
  write_content(w, choice);
  write_stop(w, choice.finish_reason, choice.stop_reason, !choice.message.tool_calls.empty());
  write_messages_usage(w, response.usage.value_or(Usage()));
  return w.end_object().take();
}

std::string messages_error_json(const Error& error, std::string_view request_id) {
  JsonWriter w = event_object("error");
  w.key("error").begin_object().member("type", error_type(error));
  w.member("message", error.message).end_object();
  if (!request_id.empty()) w.member("request_id", request_id);
  return w.end_object().take();
}

}  // namespace tessera::api
