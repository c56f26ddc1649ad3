#include "api/messages.h"

#include <algorithm>

#include "api/chat_messages.h"
#include "api/error_json.h"
#include "api/field_table.h"
#include "api/json_writer.h"
#include "api/wire_fields.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

// --- Requests ---

Error unsupported_content(const std::string& path, std::string_view type) {
  return Error(ErrorKind::kUnsupportedContent,
               "Unsupported content: a block of type " + quote_for_message(type) +
                   " cannot be put to this model.",
               join_path(path, "type"));
}

// Blocks of a turn, whose content may be a text alone. Calls take(block, type, path) for each.
template <class Take>
void each_block(const json::value& content, const std::string& path, Take take) {
  if (content.is_string()) {
    take(json::object{{"type", "text"}, {"text", content.get_string()}}, "text", path);
    return;
  }
  if (!content.is_array()) throw_wrong_type(path, "a string or an array of blocks", content);
  const json::array& blocks = content.get_array();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string block_path = index_path(path, i);
    const json::object& block = as_object(blocks[i], block_path);
    take(block, require_string(block, "type", block_path), block_path);
  }
}

json::object text_part(const json::object& block, const std::string& path) {
  json::object part = {{"type", "text"}, {"text", require_string(block, "text", path)}};
  if (const json::value* mark = find_field(block, "cache_control")) part["cache_control"] = *mark;
  return part;
}

std::string data_uri(const json::object& source, const std::string& path) {
  return "data:" + require_string(source, "media_type", path) + ";base64," +
         require_string(source, "data", path);
}

json::object image_part(const json::object& block, const std::string& path) {
  const json::object& source = require_object(block, "source", path);
  const std::string source_path = join_path(path, "source");
  const std::string type = require_string(source, "type", source_path);
  std::string url;
  if (type == "url") {
    url = require_string(source, "url", source_path);
  } else if (type == "base64") {
    url = data_uri(source, source_path);
  } else {
    throw bad_value(join_path(source_path, "type"), type, {"base64", "url"});
  }
  return {{"type", "image_url"}, {"image_url", json::object{{"url", url}}}};
}

json::object document_part(const json::object& block, const std::string& path) {
  const json::object& source = require_object(block, "source", path);
  const std::string source_path = join_path(path, "source");
  const std::string type = require_string(source, "type", source_path);
  if (type == "text") {
    return {{"type", "text"}, {"text", require_string(source, "data", source_path)}};
  }
  if (type != "base64") throw unsupported_content(source_path, type);
  const std::string title = get_string(block, "title", path).value_or("document.pdf");
  return {
      {"type", "file"},
      {"file", json::object{{"filename", title}, {"file_data", data_uri(source, source_path)}}}};
}

json::object part_of(const json::object& block, std::string_view type, const std::string& path) {
  if (type == "text") return text_part(block, path);
  if (type == "image") return image_part(block, path);
  if (type == "document") return document_part(block, path);
  throw unsupported_content(path, type);
}

// One plain text stays a text: every model reads that.
json::value content_of(json::array parts) {
  if (parts.empty()) return json::string();
  const bool plain = parts.size() == 1 && parts[0].at("type") == "text" &&
                     !parts[0].as_object().contains("cache_control");
  if (plain) return parts[0].at("text");
  return parts;
}

json::object tool_message(const json::object& block, const std::string& path) {
  json::array parts;
  if (const json::value* content = find_field(block, "content")) {
    each_block(*content, join_path(path, "content"),
               [&](const json::object& inner, std::string_view type, const std::string& at) {
                 parts.push_back(part_of(inner, type, at));
               });
  }
  const bool failed = get_bool(block, "is_error", path).value_or(false);
  if (parts.empty() && failed) parts.push_back(json::object{{"type", "text"}, {"text", "Error"}});
  return {{"role", "tool"},
          {"tool_call_id", require_string(block, "tool_use_id", path)},
          {"content", content_of(std::move(parts))}};
}

// Results of calls are messages of their own, before what the user says beside them.
void add_user(const json::value& content, const std::string& path, json::array& messages) {
  json::array parts;
  bool results = false;
  each_block(content, path,
             [&](const json::object& block, std::string_view type, const std::string& at) {
               if (type == "tool_result") {
                 messages.push_back(tool_message(block, at));
                 results = true;
               } else {
                 parts.push_back(part_of(block, type, at));
               }
             });
  if (parts.empty() && results) return;
  messages.push_back(json::object{{"role", "user"}, {"content", content_of(std::move(parts))}});
}

void add_assistant(const json::value& content, const std::string& path, json::array& messages) {
  std::string text, thoughts;
  json::array calls, thinking;
  each_block(
      content, path, [&](const json::object& block, std::string_view type, const std::string& at) {
        if (type == "text") {
          text += require_string(block, "text", at);
        } else if (type == "thinking") {
          thoughts += require_string(block, "thinking", at);
          thinking.push_back(block);
        } else if (type == "redacted_thinking") {
          thinking.push_back(block);
        } else if (type == "tool_use") {
          const json::value input = require_object(block, "input", at);
          calls.push_back(
              json::object{{"id", require_string(block, "id", at)},
                           {"type", "function"},
                           {"function", json::object{{"name", require_string(block, "name", at)},
                                                     {"arguments", tessera::to_json(input)}}}});
        } else {
          throw unsupported_content(at, type);
        }
      });
  json::object message = {{"role", "assistant"}};
  if (calls.empty() || !text.empty()) message["content"] = text;
  if (!thoughts.empty()) message["reasoning_content"] = thoughts;
  if (!thinking.empty()) message["thinking_blocks"] = std::move(thinking);
  if (!calls.empty()) message["tool_calls"] = std::move(calls);
  messages.push_back(std::move(message));
}

void add_system(const json::value& system, json::array& messages) {
  json::array parts;
  bool marked = false;
  each_block(system, "system",
             [&](const json::object& block, std::string_view type, const std::string& at) {
               if (type != "text") throw unsupported_content(at, type);
               parts.push_back(text_part(block, at));
               marked |= parts.back().as_object().contains("cache_control");
             });
  if (parts.empty()) return;
  json::value content = parts;
  if (!marked) {
    std::string text;
    for (const json::value& part : parts) {
      if (!text.empty()) text += '\n';
      text += std::string_view(part.at("text").as_string());
    }
    content = text;
  }
  messages.push_back(json::object{{"role", "system"}, {"content", std::move(content)}});
}

json::array messages_of(const json::object& body) {
  json::array messages;
  if (const json::value* system = find_field(body, "system")) add_system(*system, messages);
  const json::array& turns = require_array(body, "messages");
  if (turns.empty()) check_length(0, 1, 100'000, "messages");
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::string path = index_path("messages", i);
    const json::object& turn = as_object(turns[i], path);
    const std::string role = require_string(turn, "role", path);
    const json::value* content = find_field(turn, "content");
    if (content == nullptr) throw_missing(join_path(path, "content"));
    if (role == "user") {
      add_user(*content, join_path(path, "content"), messages);
    } else if (role == "assistant") {
      add_assistant(*content, join_path(path, "content"), messages);
    } else if (role == "system") {
      add_system(*content, messages);
    } else {
      throw bad_value(join_path(path, "role"), role, {"user", "assistant"});
    }
  }
  return messages;
}

json::array tools_of(const json::array& tools) {
  json::array functions;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string path = index_path("tools", i);
    const json::object& tool = as_object(tools[i], path);
    const std::string type = get_string(tool, "type", path).value_or("custom");
    if (type != "custom") {
      Error error = bad_value(join_path(path, "type"), type, {"custom"});
      error.kind = ErrorKind::kUnsupportedValue;
      throw error;
    }
    json::object function = {{"name", require_string(tool, "name", path)}};
    for (const char* name : {"description", "strict"}) {
      if (const json::value* value = find_field(tool, name)) function[name] = *value;
    }
    function["parameters"] = require_object(tool, "input_schema", path);
    functions.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
  }
  return functions;
}

void add_tool_choice(const json::object& choice, json::object& out) {
  const std::string type = require_string(choice, "type", "tool_choice");
  if (type == "auto" || type == "none") {
    out["tool_choice"] = type;
  } else if (type == "any") {
    out["tool_choice"] = "required";
  } else if (type == "tool") {
    const std::string name = require_string(choice, "name", "tool_choice");
    out["tool_choice"] = {{"type", "function"}, {"function", {{"name", name}}}};
  } else {
    throw bad_value("tool_choice.type", type, {"auto", "any", "tool", "none"});
  }
  if (get_bool(choice, "disable_parallel_tool_use", "tool_choice").value_or(false)) {
    out["parallel_tool_calls"] = false;
  }
}

void add_format(const json::object& format, const std::string& path, json::object& out) {
  const std::string type = require_string(format, "type", path);
  if (type != "json_schema") throw bad_value(join_path(path, "type"), type, {"json_schema"});
  out["response_format"] = {
      {"type", "json_schema"},
      {"json_schema", {{"name", "response"}, {"schema", require_object(format, "schema", path)}}}};
}

void add_output_config(const json::object& config, json::object& out) {
  if (const auto effort = get_string(config, "effort", "output_config")) {
    out["reasoning_effort"] = *effort;
  }
  if (const json::object* format = get_object(config, "format", "output_config")) {
    add_format(*format, "output_config.format", out);
  }
}

// Hints that change nothing of an answer here.
constexpr std::string_view kHints[] = {"service_tier", "anthropic_version", "anthropic_beta",
                                       "betas",        "inference_geo",     "cache_control"};
// What only Anthropic's own service does.
constexpr std::string_view kTheirs[] = {"container", "mcp_servers", "context_management", "speed"};

template <std::size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

json::object chat_body(const json::object& body) {
  json::object out;
  for (const auto& [name, value] : body) {
    if (value.is_null() || among(kHints, name)) continue;
    if (among(kTheirs, name)) {
      if (!is_neutral(value)) throw unsupported_parameter(name);
    } else if (name == "system" || name == "messages") {
      // together, below
    } else if (name == "stop_sequences") {
      out["stop"] = as_array(value, name);
    } else if (name == "metadata") {
      if (const auto user = get_string(as_object(value, name), "user_id", name))
        out["user"] = *user;
    } else if (name == "tools") {
      out["tools"] = tools_of(as_array(value, name));
    } else if (name == "tool_choice") {
      add_tool_choice(as_object(value, name), out);
    } else if (name == "thinking") {
      if (require_string(as_object(value, name), "type", name) != "disabled") out[name] = value;
    } else if (name == "output_config") {
      add_output_config(as_object(value, name), out);
    } else if (name == "output_format") {
      add_format(as_object(value, name), "output_format", out);
    } else {
      out[name] = value;
    }
  }
  out["messages"] = messages_of(body);
  return out;
}

// An error about our form of the request, in the client's words.
void rename_param(Error& error) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"stop", "stop_sequences"},
      {"user", "metadata.user_id"},
      {"reasoning_effort", "output_config.effort"},
      {"response_format", "output_config.format"},
      {"parallel_tool_calls", "tool_choice.disable_parallel_tool_use"}};
  for (const auto& [ours, theirs] : kNames) {
    const bool whole = error.param == ours;
    if (!whole && !error.param.starts_with(std::string(ours) + "[")) continue;
    const std::string quoted = "'" + error.param;
    error.param.replace(0, ours.size(), theirs);
    if (const std::size_t at = error.message.find(quoted); at != std::string::npos) {
      error.message.replace(at + 1, ours.size(), theirs);
    }
    return;
  }
}

// --- Answers ---

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

struct Thought {
  std::string text, signature;
  std::string block;  // of another kind: JSON text as it came
};

// A provider's blocks as Anthropic's: its own, and Databricks' "reasoning".
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

std::string message_id(std::string_view id) {
  if (id.starts_with("msg_")) return std::string(id);
  if (id.starts_with("chatcmpl-")) id.remove_prefix(9);
  return "msg_" + std::string(id);
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

// --- Streams ---

void write_event(std::string& out, std::string_view type, std::string_view json) {
  out += "event: ";
  out += type;
  out += "\ndata: ";
  out += json;
  out += "\n\n";
}

JsonWriter event_object(std::string_view type) {
  JsonWriter w(192);
  w.begin_object().member("type", type);
  return w;
}

}  // namespace

ChatRequest parse_messages_request(const Body& body, const ParseOptions& options) {
  if (!body.has("max_tokens")) throw_missing("max_tokens");
  try {
    ChatRequest request = parse_chat_request(Body(chat_body(body.object())), options);
    request.generation.include_usage = request.generation.stream;
    request.generation.include_stop_reason = !request.generation.stop.empty();
    return request;
  } catch (Error& error) {
    rename_param(error);
    throw;
  }
}

std::string messages_json(const ChatResponse& response) {
  static const ChatChoice kNone;
  const ChatChoice& choice = response.choices.empty() ? kNone : response.choices.front();
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

MessagesStream::MessagesStream(std::string message_id_suffix, std::int64_t input_tokens_estimate)
    : id_(message_id(message_id_suffix)), usage_{.prompt_tokens = input_tokens_estimate} {}

void MessagesStream::start(const ChatChunk& chunk, std::string& out) {
  if (started_) return;
  started_ = true;
  JsonWriter w = event_object("message_start");
  w.key("message").begin_object().member("id", id_).member("type", "message");
  w.member("role", "assistant").member("model", chunk.model);
  w.key("content").begin_array().end_array();
  w.member("stop_reason", nullptr).member("stop_sequence", nullptr);
  write_messages_usage(w, usage_);
  write_event(out, "message_start", w.end_object().end_object().take());
}

void MessagesStream::open(Block kind, std::string_view block, std::string& out) {
  close(out);
  block_ = kind;
  ++index_;
  JsonWriter w = event_object("content_block_start");
  w.member("index", index_).key("content_block").raw(block);
  write_event(out, "content_block_start", w.end_object().take());
}

void MessagesStream::close(std::string& out) {
  if (block_ == Block::kNone) return;
  block_ = Block::kNone;
  JsonWriter w = event_object("content_block_stop");
  write_event(out, "content_block_stop", w.member("index", index_).end_object().take());
}

void MessagesStream::delta(int index, std::string_view type, std::string_view field,
                           std::string_view text, std::string& out) {
  JsonWriter w = event_object("content_block_delta");
  w.member("index", index).key("delta").begin_object();
  w.member("type", type).member(field, text).end_object();
  write_event(out, "content_block_delta", w.end_object().take());
}

void MessagesStream::text(std::string_view piece, std::string& out) {
  if (piece.empty()) return;
  if (block_ != Block::kText) open(Block::kText, R"({"type":"text","text":""})", out);
  delta(index_, "text_delta", "text", piece, out);
}

void MessagesStream::thinking(std::string_view piece, std::string& out) {
  if (piece.empty()) return;
  if (block_ != Block::kThinking) {
    open(Block::kThinking, R"({"type":"thinking","thinking":"","signature":""})", out);
  }
  delta(index_, "thinking_delta", "thinking", piece, out);
}

// They come when their text has been told: only the signature is news then.
void MessagesStream::thinking_blocks(std::string_view blocks, std::string& out) {
  for (const Thought& thought : thoughts_of(blocks)) {
    if (!thought.block.empty()) {
      open(Block::kThinking, thought.block, out);
      close(out);
      continue;
    }
    if (block_ != Block::kThinking) thinking(thought.text, out);
    if (block_ == Block::kThinking && !thought.signature.empty()) {
      delta(index_, "signature_delta", "signature", thought.signature, out);
      close(out);
    }
  }
}

void MessagesStream::call(const ToolCallDelta& call, std::string& out) {
  constexpr std::size_t kMaxCalls = 1024;
  if (call.index < 0 || static_cast<std::size_t>(call.index) >= kMaxCalls) return;
  const auto number = static_cast<std::size_t>(call.index);
  if (call_blocks_.size() <= number) call_blocks_.resize(number + 1, -1);
  if (call_blocks_[number] < 0) {
    JsonWriter w(96);
    w.begin_object().member("type", "tool_use").member("id", call.id).member("name", call.name);
    w.key("input").begin_object().end_object();
    open(Block::kTool, w.end_object().take(), out);
    call_blocks_[number] = index_;
  }
  if (call.arguments.empty()) return;
  delta(call_blocks_[number], "input_json_delta", "partial_json", call.arguments, out);
}

std::string MessagesStream::write(const ChatChunk& chunk) {
  std::string out;
  if (chunk.usage) usage_ = *chunk.usage;
  start(chunk, out);
  for (const ChatChunkChoice& choice : chunk.choices) {
    if (choice.index != 0) continue;
    thinking(choice.delta.reasoning_content.value_or(""), out);
    thinking_blocks(choice.delta.thinking_blocks, out);
    text(choice.delta.content.value_or(""), out);
    text(choice.delta.refusal.value_or(""), out);
    for (const ToolCallDelta& piece : choice.delta.tool_calls) call(piece, out);
    if (choice.finish_reason) finish_ = choice.finish_reason;
    if (choice.stop_reason) stop_ = choice.stop_reason;
  }
  return out;
}

std::string MessagesStream::finish() {
  std::string out;
  start({}, out);
  close(out);
  JsonWriter w = event_object("message_delta");
  write_stop(w.key("delta").begin_object(), finish_, stop_, !call_blocks_.empty());
  write_messages_usage(w.end_object(), usage_);
  write_event(out, "message_delta", w.end_object().take());
  write_event(out, "message_stop", R"({"type":"message_stop"})");
  return out;
}

std::string MessagesStream::error(const Error& error) {
  std::string out;
  write_event(out, "error", messages_error_json(error, {}));
  return out;
}

}  // namespace tessera::api
