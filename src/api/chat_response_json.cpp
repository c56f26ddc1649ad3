#include "api/chat.h"
#include "api/chat_messages.h"
#include "api/tools.h"
#include "api/upstream_fields.h"
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
  w.begin_object().key("content");
  write_scores(w, logprobs->content);
  w.key("refusal").raw(logprobs->refusal.empty() ? "null" : logprobs->refusal).end_object();
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
  if (const json::array& refusal = array_or_empty(object, "refusal"); !refusal.empty()) {
    logprobs.refusal = tessera::to_json(json::value(refusal));
  }
  return logprobs;
}

// The forms of an answer with a call: `tool_calls`, or the one `function_call` of old.
enum class CallForm { kTools, kFunction };

template <class Call>
void write_function_call(JsonWriter& w, const Call& call) {
  w.key("function_call").begin_object();
  if (!call.name.empty()) w.member("name", call.name);
  w.member("arguments", call.arguments).end_object();
}

std::optional<FinishReason> in_form(std::optional<FinishReason> reason, CallForm form) {
  const bool call = form == CallForm::kFunction && reason == FinishReason::kToolCalls;
  return call ? FinishReason::kFunctionCall : reason;
}

void write_choice(JsonWriter& w, const ChatChoice& choice, CallForm form) {
  const ChatMessage& message = choice.message;
  w.begin_object().member("index", choice.index).key("message").begin_object();
  w.member("role", message.role);
  if (message.parts.empty()) {
    w.member("content", message.content);
  } else {
    w.key("content").begin_array();
    for (const ContentPart& part : message.parts) w.raw(part.json);
    w.end_array();
  }
  w.member("refusal", choice.refusal);
  if (!choice.reasoning_content.empty()) w.member("reasoning_content", choice.reasoning_content);
  if (!choice.thinking_blocks.empty()) w.key("thinking_blocks").raw(choice.thinking_blocks);
  if (form == CallForm::kTools) {
    write_tool_calls(w, message.tool_calls);
  } else if (!message.tool_calls.empty()) {
    write_function_call(w, message.tool_calls.front());
  }
  write_extra(w, message.extra);
  w.end_object();
  write_finish(w, in_form(choice.finish_reason, form), choice.stop_reason);
  write_logprobs(w, choice.logprobs);
  write_token_ids(w, "token_ids", choice.token_ids);
  write_extra(w, choice.extra);
  w.end_object();
}

void write_delta(JsonWriter& w, const ChatDelta& delta, CallForm form) {
  w.key("delta").begin_object();
  if (delta.role) w.member("role", "assistant");
  if (!delta.content_parts.empty()) {
    w.key("content").raw(delta.content_parts);
  } else if (delta.role || delta.content) {
    w.member("content", delta.content);
  }
  if (delta.reasoning_content) w.member("reasoning_content", *delta.reasoning_content);
  if (!delta.thinking_blocks.empty()) w.key("thinking_blocks").raw(delta.thinking_blocks);
  if (delta.refusal) w.member("refusal", *delta.refusal);
  if (form == CallForm::kFunction) {
    for (const ToolCallDelta& call : delta.tool_calls) {
      if (call.index == 0) {
        write_function_call(w, call);
        break;
      }
    }
  } else if (!delta.tool_calls.empty()) {
    w.key("tool_calls").begin_array();
    for (const ToolCallDelta& call : delta.tool_calls) {
      w.begin_object().member("index", call.index);
      if (!call.id.empty()) w.member("id", call.id).member("type", "function");
      w.key("function").begin_object();
      if (!call.name.empty()) w.member("name", call.name);
      w.member("arguments", call.arguments).end_object();
      if (!call.extra_content.empty()) w.key("extra_content").raw(call.extra_content);
      w.end_object();
    }
    w.end_array();
  }
  write_extra(w, delta.extra);
  w.end_object();
}

// The text of a call's arguments; some who claim to be like OpenAI send the object itself.
std::string read_call_arguments(const json::object& function) {
  const json::value* value = find_field(function, "arguments");
  if (value != nullptr && value->is_object()) return tessera::to_json(*value);
  return text_or_empty(function, "arguments");
}

StringPairs message_extra(const json::object& message) {
  StringPairs extra = read_extra(message, {"role", "content", "refusal", "reasoning_content",
                                           "thinking_blocks", "tool_calls", "function_call"});
  // vLLM's newer name of reasoning_content, which it then is.
  std::erase_if(extra, [](const auto& member) { return member.first == "reasoning"; });
  return extra;
}

// Message and delta have these in common.
template <class Thoughts>
std::optional<std::string> read_said(const json::object& message, Thoughts& to) {
  if (const json::value* blocks = find_field(message, "thinking_blocks");
      blocks != nullptr && blocks->is_array() && !blocks->get_array().empty()) {
    to.thinking_blocks = tessera::to_json(*blocks);
  }
  std::optional<std::string> thoughts = maybe_text(message, "reasoning_content");
  if (!thoughts) thoughts = maybe_text(message, "reasoning");
  std::optional<std::string> content = maybe_text(message, "content");
  if (const json::value* list = find_field(message, "content");
      list != nullptr && list->is_array()) {
    PartsRead parts = read_parts(list->get_array());
    content = std::move(parts.content);
    if (!parts.reasoning_content.empty()) {
      thoughts = thoughts.value_or("") + parts.reasoning_content;
    }
    if (!parts.thinking_blocks.empty()) to.thinking_blocks = std::move(parts.thinking_blocks);
  }
  if (thoughts) to.reasoning_content = std::move(*thoughts);
  return content;
}

std::string read_extra_content(const json::object& call) {
  const json::object& extra = object_or_empty(call, "extra_content");
  return extra.empty() ? std::string() : tessera::to_json(extra);
}

ChatDelta read_delta(const json::object& choice) {
  const json::object& object = object_or_empty(choice, "delta");
  ChatDelta delta;
  delta.role = object.contains("role");
  delta.content = read_said(object, delta);
  delta.refusal = maybe_text(object, "refusal");
  for (const json::value& entry : array_or_empty(object, "tool_calls")) {
    if (!entry.is_object()) continue;
    const json::object& call = entry.get_object();
    const json::object& function = object_or_empty(call, "function");
    delta.tool_calls.push_back({.index = index_or(call, -1),
                                .id = text_or_empty(call, "id"),
                                .name = text_or_empty(function, "name"),
                                .arguments = read_call_arguments(function),
                                .extra_content = read_extra_content(call)});
  }
  delta.extra = message_extra(object);
  return delta;
}

StringPairs choice_extra(const json::object& choice) {
  return read_extra(choice, {"index", "message", "delta", "finish_reason", "logprobs",
                             "stop_reason", "token_ids"});
}

ChatChoice read_choice(const json::object& object) {
  ChatChoice choice;
  choice.index = index_or(object, 0);
  const json::object& message = object_or_empty(object, "message");
  choice.message.content = read_said(message, choice);
  choice.refusal = maybe_text(message, "refusal");
  for (const json::value& entry : array_or_empty(message, "tool_calls")) {
    if (!entry.is_object()) continue;
    const json::object& function = object_or_empty(entry.get_object(), "function");
    choice.message.tool_calls.push_back({.id = text_or_empty(entry.get_object(), "id"),
                                         .name = text_or_empty(function, "name"),
                                         .arguments = read_call_arguments(function),
                                         .extra_content = read_extra_content(entry.get_object())});
  }
  choice.message.extra = message_extra(message);
  choice.finish_reason = read_finish_reason(object);
  choice.logprobs = read_logprobs(object);
  choice.stop_reason = read_stop_reason(object);
  choice.token_ids = read_wire_ids(object, "token_ids");
  choice.extra = choice_extra(object);
  return choice;
}

std::string write_response(const ChatResponse& response, CallForm form) {
  JsonWriter w(1024);
  w.begin_object().member("id", response.id).member("object", "chat.completion");
  w.member("created", response.created).member("model", response.model);
  w.key("choices").begin_array();
  for (const ChatChoice& choice : response.choices) write_choice(w, choice, form);
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
  write_extra(w, response.extra);
  return w.end_object().take();
}

std::string write_chunk(const ChatChunk& chunk, CallForm form) {
  JsonWriter w(384);
  w.begin_object().member("id", chunk.id).member("object", "chat.completion.chunk");
  w.member("created", chunk.created).member("model", chunk.model);
  if (!chunk.system_fingerprint.empty()) w.member("system_fingerprint", chunk.system_fingerprint);
  w.key("choices").begin_array();
  for (const ChatChunkChoice& choice : chunk.choices) {
    write_delta(w.begin_object().member("index", choice.index), choice.delta, form);
    write_finish(w, in_form(choice.finish_reason, form), choice.stop_reason);
    write_logprobs(w, choice.logprobs);
    write_token_ids(w, "token_ids", choice.token_ids);
    write_extra(w, choice.extra);
    w.end_object();
  }
  w.end_array();
  if (chunk.timings) write_timings(w, *chunk.timings);
  write_token_ids(w, "prompt_token_ids", chunk.prompt_token_ids);
  write_extra(w, chunk.extra);
  write_usage(w, chunk.usage, chunk.null_usage);
  return w.end_object().take();
}

// Members of the object itself. `obfuscation` is padding against eavesdroppers on the way to us.
StringPairs answer_extra(const json::object& object) {
  return read_extra(object, {"id", "object", "created", "model", "choices", "usage", "timings",
                             "system_fingerprint", "prompt_logprobs", "prompt_token_ids",
                             "served_model_name", "obfuscation"});
}

}  // namespace

void write_scores(JsonWriter& w, const std::vector<ChatTokenLogprob>& tokens) {
  w.begin_array();
  for (const ChatTokenLogprob& token : tokens) {
    write_score(w.begin_object(), token);
    w.key("top_logprobs").begin_array();
    for (const TokenScore& score : token.top_logprobs) {
      write_score(w.begin_object(), score);
      w.end_object();
    }
    w.end_array().end_object();
  }
  w.end_array();
}

namespace {

void write_text_part(JsonWriter& w, std::string_view text) {
  w.begin_object().member("type", "text").member("text", text).end_object();
}

void write_reasoning_part(JsonWriter& w, std::string_view text, std::string_view signature) {
  w.begin_object().member("type", "reasoning").key("summary").begin_array().begin_object();
  w.member("type", "summary_text").member("text", text);
  if (!signature.empty()) w.member("signature", signature);
  w.end_object().end_array().end_object();
}

// A provider's block of thoughts as such a part. In a stream their text has been told: only the
// signature is left to say.
void write_block(JsonWriter& w, const json::object& block, bool told) {
  const std::string type = text_or_empty(block, "type");
  if (type == "thinking") {
    const std::string text = told ? std::string() : text_or_empty(block, "thinking");
    write_reasoning_part(w, text, text_or_empty(block, "signature"));
  } else if (type == "reasoning" && told) {
    std::string signature;
    for (const json::value& entry : array_or_empty(block, "summary")) {
      if (entry.is_object()) signature += text_or_empty(entry.get_object(), "signature");
    }
    write_reasoning_part(w, "", signature);
  } else {
    w.raw(tessera::to_json(json::value(block)));
  }
}

void write_blocks(JsonWriter& w, const std::string& blocks, bool told) {
  if (blocks.empty()) return;
  const json::value array = parse_json(blocks);
  if (!array.is_array()) return;
  for (const json::value& block : array.get_array()) {
    if (block.is_object()) write_block(w, block.get_object(), told);
  }
}

}  // namespace

void put_reasoning_into_content(ChatResponse& response) {
  for (ChatChoice& choice : response.choices) {
    if (choice.reasoning_content.empty() && choice.thinking_blocks.empty()) continue;
    const auto add = [&](ContentPart::Kind kind, auto write) {
      JsonWriter w(256);
      write(w);
      choice.message.parts.push_back({.kind = kind, .json = w.take()});
    };
    if (choice.thinking_blocks.empty()) {
      add(ContentPart::Kind::kReasoning,
          [&](JsonWriter& w) { write_reasoning_part(w, choice.reasoning_content, ""); });
    } else {
      const json::value blocks = parse_json(choice.thinking_blocks);
      for (const json::value& block : as_array(blocks, "thinking_blocks")) {
        if (!block.is_object()) continue;
        add(ContentPart::Kind::kReasoning,
            [&](JsonWriter& w) { write_block(w, block.get_object(), false); });
      }
    }
    if (choice.message.content && !choice.message.content->empty()) {
      add(ContentPart::Kind::kText,
          [&](JsonWriter& w) { write_text_part(w, *choice.message.content); });
    }
    choice.reasoning_content.clear();
    choice.thinking_blocks.clear();
  }
}

void put_reasoning_into_content(ChatChunk& chunk) {
  for (ChatChunkChoice& choice : chunk.choices) {
    ChatDelta& delta = choice.delta;
    const std::string text = delta.content.value_or("");
    const std::string thought = delta.reasoning_content.value_or("");
    if (text.empty() && thought.empty() && delta.thinking_blocks.empty()) continue;
    JsonWriter w(256);
    w.begin_array();
    if (!thought.empty()) write_reasoning_part(w, thought, "");
    write_blocks(w, delta.thinking_blocks, true);
    if (!text.empty()) write_text_part(w, text);
    delta.content_parts = w.end_array().take();
    delta.content.reset();
    delta.reasoning_content.reset();
    delta.thinking_blocks.clear();
  }
}

std::string to_json(const ChatResponse& response) {
  return write_response(response, CallForm::kTools);
}

std::string to_legacy_json(const ChatResponse& response) {
  return write_response(response, CallForm::kFunction);
}

std::string to_json(const ChatChunk& chunk) { return write_chunk(chunk, CallForm::kTools); }

std::string to_legacy_json(const ChatChunk& chunk) {
  return write_chunk(chunk, CallForm::kFunction);
}

ChatResponse parse_chat_response(std::string_view text) {
  ScratchMemory memory;
  const json::object object = parse_upstream_object(text, &memory.resource);
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
  response.extra = answer_extra(object);
  return response;
}

ChatChunk parse_chat_chunk(std::string_view text) {
  ScratchMemory memory;
  const json::object object = parse_upstream_object(text, &memory.resource);
  ChatChunk chunk;
  chunk.id = text_or_empty(object, "id");
  chunk.created = int_or_zero(object, "created");
  chunk.model = text_or_empty(object, "model");
  chunk.system_fingerprint = text_or_empty(object, "system_fingerprint");
  for (const json::value& entry : array_or_empty(object, "choices")) {
    if (!entry.is_object()) continue;
    const json::object& choice = entry.get_object();
    chunk.choices.push_back({.index = index_or(choice, 0),
                             .delta = read_delta(choice),
                             .finish_reason = read_finish_reason(choice),
                             .logprobs = read_logprobs(choice),
                             .stop_reason = read_stop_reason(choice),
                             .token_ids = read_wire_ids(choice, "token_ids"),
                             .extra = choice_extra(choice)});
  }
  chunk.usage = read_usage(object);
  chunk.timings = read_timings(object);
  chunk.prompt_token_ids = read_wire_ids(object, "prompt_token_ids");
  chunk.extra = answer_extra(object);
  return chunk;
}

}  // namespace tessera::api
