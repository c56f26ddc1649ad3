#include "api/chat.h"
#include "api/wire_fields.h"

namespace tessera::api {
namespace {

void write_score(JsonWriter& w, const TokenScore& score) {
  w.member("token", score.token).member("logprob", score.logprob);
  w.key("bytes").begin_array();
  for (const char byte : score.bytes) w.value(static_cast<int>(static_cast<unsigned char>(byte)));
  w.end_array();
}

void write_logprobs(JsonWriter& w, const std::optional<ChatLogprobs>& logprobs) {
  w.key("logprobs");
  if (!logprobs) {
    w.value(nullptr);
    return;
  }
  w.begin_object().key("content").begin_array();
  for (const ChatTokenLogprob& token : logprobs->content) {
    write_score(w.begin_object(), token);
    w.key("top_logprobs").begin_array();
    for (const TokenScore& score : token.top_logprobs) {
      write_score(w.begin_object(), score);
      w.end_object();
    }
    w.end_array().end_object();
  }
  w.end_array().member("refusal", nullptr).end_object();
}

TokenScore read_score(const json::object& object) {
  TokenScore score{.token = text_or_empty(object, "token"),
                   .logprob = static_cast<float>(maybe_number(object, "logprob").value_or(0))};
  for (const json::value& byte : array_or_empty(object, "bytes")) {
    if (is_integral(byte)) score.bytes += static_cast<char>(as_int(byte, "bytes"));
  }
  return score;
}

std::optional<ChatLogprobs> read_logprobs(const json::object& choice) {
  const json::object& object = object_or_empty(choice, "logprobs");
  if (object.empty()) return std::nullopt;
  ChatLogprobs logprobs;
  for (const json::value& entry : array_or_empty(object, "content")) {
    if (!entry.is_object()) continue;
    ChatTokenLogprob& token = logprobs.content.emplace_back();
    static_cast<TokenScore&>(token) = read_score(entry.get_object());
    for (const json::value& top : array_or_empty(entry.get_object(), "top_logprobs")) {
      if (top.is_object()) token.top_logprobs.push_back(read_score(top.get_object()));
    }
  }
  return logprobs;
}

void write_choice(JsonWriter& w, const ChatChoice& choice) {
  const ChatMessage& message = choice.message;
  w.begin_object().member("index", choice.index).key("message").begin_object();
  w.member("role", message.role).member("content", message.content);
  w.member("refusal", choice.refusal);
  if (!choice.reasoning_content.empty()) w.member("reasoning_content", choice.reasoning_content);
  if (!message.tool_calls.empty()) {
    w.key("tool_calls").begin_array();
    for (const ToolCall& call : message.tool_calls) {
      w.begin_object().member("id", call.id).member("type", "function").key("function");
      w.begin_object().member("name", call.name).member("arguments", call.arguments);
      w.end_object().end_object();
    }
    w.end_array();
  }
  w.end_object();
  write_finish(w, choice.finish_reason, choice.stop_reason);
  write_logprobs(w, choice.logprobs);
  write_token_ids(w, "token_ids", choice.token_ids);
  w.end_object();
}

void write_delta(JsonWriter& w, const ChatDelta& delta) {
  w.key("delta").begin_object();
  if (delta.role) w.member("role", "assistant");
  if (delta.content) w.member("content", *delta.content);
  if (delta.reasoning_content) w.member("reasoning_content", *delta.reasoning_content);
  if (delta.refusal) w.member("refusal", *delta.refusal);
  if (!delta.tool_calls.empty()) {
    w.key("tool_calls").begin_array();
    for (const ToolCallDelta& call : delta.tool_calls) {
      w.begin_object().member("index", call.index);
      if (!call.id.empty()) w.member("id", call.id).member("type", "function");
      w.key("function").begin_object();
      if (!call.name.empty()) w.member("name", call.name);
      w.member("arguments", call.arguments).end_object().end_object();
    }
    w.end_array();
  }
  w.end_object();
}

ChatDelta read_delta(const json::object& choice) {
  const json::object& object = object_or_empty(choice, "delta");
  ChatDelta delta;
  delta.role = object.contains("role");
  delta.content = maybe_text(object, "content");
  delta.reasoning_content = maybe_text(object, "reasoning_content");
  delta.refusal = maybe_text(object, "refusal");
  for (const json::value& entry : array_or_empty(object, "tool_calls")) {
    if (!entry.is_object()) continue;
    const json::object& call = entry.get_object();
    const json::object& function = object_or_empty(call, "function");
    delta.tool_calls.push_back({.index = static_cast<int>(int_or_zero(call, "index")),
                                .id = text_or_empty(call, "id"),
                                .name = text_or_empty(function, "name"),
                                .arguments = text_or_empty(function, "arguments")});
  }
  return delta;
}

ChatChoice read_choice(const json::object& object) {
  ChatChoice choice;
  choice.index = static_cast<int>(int_or_zero(object, "index"));
  const json::object& message = object_or_empty(object, "message");
  choice.message.content = maybe_text(message, "content");
  choice.reasoning_content = text_or_empty(message, "reasoning_content");
  choice.refusal = maybe_text(message, "refusal");
  for (const json::value& entry : array_or_empty(message, "tool_calls")) {
    if (!entry.is_object()) continue;
    const json::object& function = object_or_empty(entry.get_object(), "function");
    choice.message.tool_calls.push_back({.id = text_or_empty(entry.get_object(), "id"),
                                         .name = text_or_empty(function, "name"),
                                         .arguments = text_or_empty(function, "arguments")});
  }
  choice.finish_reason = read_finish_reason(object);
  choice.logprobs = read_logprobs(object);
  choice.stop_reason = read_stop_reason(object);
  choice.token_ids = read_wire_ids(object, "token_ids");
  return choice;
}

}  // namespace

std::string to_json(const ChatResponse& response) {
  JsonWriter w(1024);
  w.begin_object().member("id", response.id).member("object", "chat.completion");
  w.member("created", response.created).member("model", response.model);
  w.key("choices").begin_array();
  for (const ChatChoice& choice : response.choices) write_choice(w, choice);
  w.end_array();
  write_usage(w, response.usage, false);
  if (!response.system_fingerprint.empty()) {
    w.member("system_fingerprint", response.system_fingerprint);
  }
  if (!response.prompt_logprobs.empty()) w.key("prompt_logprobs").raw(response.prompt_logprobs);
  write_token_ids(w, "prompt_token_ids", response.prompt_token_ids);
  if (!response.served_model_name.empty()) {
    w.member("served_model_name", response.served_model_name);
  }
  return w.end_object().take();
}

ChatResponse parse_chat_response(std::string_view text) {
  const json::object object = parse_upstream_object(text);
  ChatResponse response;
  response.id = text_or_empty(object, "id");
  response.created = int_or_zero(object, "created");
  response.model = text_or_empty(object, "model");
  for (const json::value& choice : array_or_empty(object, "choices")) {
    if (choice.is_object()) response.choices.push_back(read_choice(choice.get_object()));
  }
  response.usage = read_usage(object);
  response.system_fingerprint = text_or_empty(object, "system_fingerprint");
  if (const json::value* prompt = find_field(object, "prompt_logprobs")) {
    response.prompt_logprobs = tessera::to_json(*prompt);
  }
  response.prompt_token_ids = read_wire_ids(object, "prompt_token_ids");
  return response;
}

std::string to_json(const ChatChunk& chunk) {
  JsonWriter w(384);
  w.begin_object().member("id", chunk.id).member("object", "chat.completion.chunk");
  w.member("created", chunk.created).member("model", chunk.model);
  if (!chunk.system_fingerprint.empty()) w.member("system_fingerprint", chunk.system_fingerprint);
  w.key("choices").begin_array();
  for (const ChatChunkChoice& choice : chunk.choices) {
    write_delta(w.begin_object().member("index", choice.index), choice.delta);
    write_finish(w, choice.finish_reason, choice.stop_reason);
    write_logprobs(w, choice.logprobs);
    write_token_ids(w, "token_ids", choice.token_ids);
    w.end_object();
  }
  w.end_array();
  if (chunk.timings) write_timings(w, *chunk.timings);
  write_token_ids(w, "prompt_token_ids", chunk.prompt_token_ids);
  write_usage(w, chunk.usage, chunk.null_usage);
  return w.end_object().take();
}

ChatChunk parse_chat_chunk(std::string_view text) {
  const json::object object = parse_upstream_object(text);
  ChatChunk chunk;
  chunk.id = text_or_empty(object, "id");
  chunk.created = int_or_zero(object, "created");
  chunk.model = text_or_empty(object, "model");
  chunk.system_fingerprint = text_or_empty(object, "system_fingerprint");
  for (const json::value& entry : array_or_empty(object, "choices")) {
    if (!entry.is_object()) continue;
    const json::object& choice = entry.get_object();
    chunk.choices.push_back({.index = static_cast<int>(int_or_zero(choice, "index")),
                             .delta = read_delta(choice),
                             .finish_reason = read_finish_reason(choice),
                             .logprobs = read_logprobs(choice),
                             .stop_reason = read_stop_reason(choice),
                             .token_ids = read_wire_ids(choice, "token_ids")});
  }
  chunk.usage = read_usage(object);
  chunk.timings = read_timings(object);
  chunk.prompt_token_ids = read_wire_ids(object, "prompt_token_ids");
  return chunk;
}

}  // namespace tessera::api
