// The chat contract: POST …/chat/completions (data-plane 2.2–2.4, 2.9; OpenAI "Chat" reference).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/body.h"
#include "api/fields.h"
#include "api/options.h"

namespace tessera::api {

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text of an object, as the model or the client wrote it
  // JSON text of an object that a provider wants back, Gemini's thought signature; mostly empty.
  std::string extra_content = {};
};

struct ContentPart {
  enum class Kind { kText, kImage, kAudio, kFile, kReasoning, kRefusal, kOther };
  Kind kind = Kind::kText;
  std::string text;    // kText, kRefusal; kReasoning: its summary
  std::string url;     // kImage: http(s) or data:
  std::string detail;  // kImage: "low", "high", "auto"; may be empty
  std::string json;    // the whole part as it came
};

struct ChatMessage {
  std::string role;                    // "system", "user", "assistant", "tool"
  std::optional<std::string> content;  // text parts joined; none only beside tool_calls
  std::vector<ContentPart> parts;  // only with ParseOptions::allow_parts, when content was a list;
                                   // in an answer they are written instead of content
  std::string name;
  std::vector<ToolCall> tool_calls;  // assistant
  std::string tool_call_id;          // tool
  bool is_developer = false;         // role "system" was written "developer"
  // An assistant's earlier reasoning, replayed; only with allow_parts.
  std::string reasoning_content;
  std::string thinking_blocks;  // JSON text of an array, the provider's own blocks; empty: none
  StringPairs extra;            // members nobody here knows, as JSON text; as in CommonFields
};

struct Tool {
  std::string name;
  std::string description;
  std::string parameters;  // JSON text of a schema object; empty: none given
  std::optional<bool> strict;
  std::string json;  // profile kExternal: the whole tool as it came
};

struct ToolChoice {
  enum class Mode { kAuto, kNone, kRequired, kNamed };
  Mode mode = Mode::kAuto;
  std::string name;  // kNamed
};

struct ResponseFormat {
  enum class Kind { kText, kJsonObject, kJsonSchema };
  Kind kind = Kind::kText;
  std::string name, description;  // kJsonSchema
  std::string schema;             // kJsonSchema: JSON text of an object
  std::optional<bool> strict;
};

struct ChatRequest {
  CommonFields common;
  GenerationFields generation;
  std::vector<ChatMessage> messages;
  std::vector<Tool> tools;                // legacy `functions` included
  bool legacy_functions = false;          // they were: the answer's call is a `function_call`
  std::optional<ToolChoice> tool_choice;  // none: auto
  std::optional<bool> parallel_tool_calls;
  std::optional<ResponseFormat> response_format;
  std::string reasoning_effort;  // "low", …; empty: not given
  std::string thinking;          // JSON text of an object; empty: not given
  bool logprobs = false;
  int top_logprobs = 0;  // -1: the whole vocabulary
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // then add_generation_prompt is false
  std::string chat_template;            // empty: the model's own
  std::string chat_template_kwargs;     // JSON text of an object; empty: none
  std::string documents;                // JSON text of an array of objects of strings; empty: none
};

// Throws Error: the kind says what is wrong, param names the field, message adds value and bound.
ChatRequest parse_chat_request(const Body& body, const ParseOptions& options);
// What a worker or an OpenAI-like upstream reads; fields at their default are left out, and so are
// client_request_id and usage_context, which end at the gateway.
std::string to_json(const ChatRequest& request, const WireOptions& wire = {});

struct TokenScore {
  std::string token;  // U+FFFD where the bytes are part of a character
  float logprob = 0;  // written with the shortest digits that read back as the same float
  std::string bytes;
};

struct ChatTokenLogprob : TokenScore {
  std::vector<TokenScore> top_logprobs;
};

struct ChatLogprobs {
  std::vector<ChatTokenLogprob> content;
  std::string refusal;  // an upstream's, JSON text of an array; empty: null
};

struct ChatChoice {
  int index = 0;
  ChatMessage message{.role = "assistant"};
  std::string reasoning_content;  // written when not empty
  std::string thinking_blocks;    // JSON text of an array, for replay; written when not empty
  std::optional<std::string> refusal;
  std::optional<FinishReason> finish_reason;  // always set once complete
  std::optional<ChatLogprobs> logprobs;
  std::optional<StopReason> stop_reason;  // none: the key is not written
  std::optional<std::vector<std::int32_t>> token_ids;
  StringPairs extra;  // an upstream's members that nobody here knows, as JSON text
};

struct ChatResponse {
  std::string id;  // "chatcmpl-…"
  std::int64_t created = 0;
  std::string model;
  std::vector<ChatChoice> choices;
  std::optional<Usage> usage;
  std::string system_fingerprint;
  std::string served_model_name;  // written when not empty
  std::string prompt_logprobs;    // JSON text; written when not empty
  std::optional<std::vector<std::int32_t>> prompt_token_ids;
  StringPairs extra;
};

std::string to_json(const ChatResponse& response);
// An upstream's answer. Members that are not known are kept as `extra`; content that is a list of
// parts becomes text, and reasoning where it holds some. Throws Error(kUpstreamBadGateway, code
// "provider_bad_response").
ChatResponse parse_chat_response(std::string_view json);

// A piece of a call in a stream: id and name come once, with the first piece.
struct ToolCallDelta {
  int index = 0;  // -1: the upstream did not say
  std::string id;
  std::string name;
  std::string arguments;
  std::string extra_content = {};  // with the id
};

struct ChatDelta {
  bool role = false;  // the choice's first chunk: "role": "assistant"
  std::optional<std::string> content;
  std::optional<std::string> reasoning_content;
  std::string thinking_blocks;  // JSON text of an array; written when not empty
  std::optional<std::string> refusal;
  std::vector<ToolCallDelta> tool_calls;
  std::string content_parts;  // JSON text of an array, written as `content` instead of it
  StringPairs extra;
};

struct ChatChunkChoice {
  int index = 0;
  ChatDelta delta;
  std::optional<FinishReason> finish_reason;
  std::optional<ChatLogprobs> logprobs;
  std::optional<StopReason> stop_reason;
  std::optional<std::vector<std::int32_t>> token_ids;
  StringPairs extra;
};

struct ChatChunk {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  std::string system_fingerprint;
  std::vector<ChatChunkChoice> choices;
  std::optional<Usage> usage;
  bool null_usage = false;  // without usage, write "usage": null instead of nothing
  std::optional<Timings> timings;
  std::optional<std::vector<std::int32_t>> prompt_token_ids;
  StringPairs extra;
};

std::string to_json(const ChatChunk& chunk);
ChatChunk parse_chat_chunk(std::string_view json);

// Content as Databricks writes its Claude's (external-providers 1.7): a list of a "reasoning" part
// and a "text" part, instead of reasoning_content and thinking_blocks. Answers without reasoning
// stay as they are; chunks with any text change.
void put_reasoning_into_content(ChatResponse& response);
void put_reasoning_into_content(ChatChunk& chunk);

// What a client that sent `functions` is answered: its one call as `function_call`, and the finish
// reason of that name (data-plane 2.1). to_json writes it so for ChatRequest::legacy_functions.
std::string to_legacy_json(const ChatResponse& response);
std::string to_legacy_json(const ChatChunk& chunk);

}  // namespace tessera::api
