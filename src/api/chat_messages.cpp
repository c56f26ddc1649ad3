#include "api/chat_messages.h"

#include <algorithm>

#include "api/tools.h"
#include "api/upstream_fields.h"
#include "api/wire_fields.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

using Kind = ContentPart::Kind;

Kind kind_of(std::string_view type) {
  if (type == "text") return Kind::kText;
  if (type == "refusal") return Kind::kRefusal;
  if (type == "image_url") return Kind::kImage;
  if (type == "input_audio") return Kind::kAudio;
  if (type == "file") return Kind::kFile;
  // The forms in which Databricks and Anthropic tell an assistant's thoughts.
  if (type == "reasoning" || type == "thinking" || type == "redacted_thinking") {
    return Kind::kReasoning;
  }
  return Kind::kOther;
}

// What is readable of a reasoning part.
std::string reasoning_text(const json::object& part) {
  std::string text = text_or_empty(part, "thinking");
  for (const json::value& piece : array_or_empty(part, "summary")) {
    if (piece.is_object()) text += text_or_empty(piece.get_object(), "text");
  }
  return text;
}

void read_image(const json::object& part, const std::string& path, ContentPart& read) {
  const std::string image_path = join_path(path, "image_url");
  const json::value* image = find_field(part, "image_url");
  if (image == nullptr) throw_missing(image_path);
  if (image->is_string()) {  // not OpenAI's form, but a common one
    read.url = std::string(image->get_string());
    return;
  }
  const json::object& object = as_object(*image, image_path);
  read.url = require_string(object, "url", image_path);
  read.detail = get_string(object, "detail", image_path).value_or("");
}

ContentPart read_part(const json::value& value, const std::string& path,
                      const ParseOptions& options) {
  const json::object& part = as_object(value, path);
  const std::string type = require_string(part, "type", path);
  ContentPart read{.kind = kind_of(type)};
  if (read.kind == Kind::kText || read.kind == Kind::kRefusal) {
    read.text = require_string(part, type, path);
  } else if (read.kind == Kind::kReasoning) {
    read.text = reasoning_text(part);
  } else if (!options.allow_parts) {
    throw Error(ErrorKind::kUnsupportedContent,
                "Unsupported content: a part of type " + quote_for_message(type) +
                    " is not supported by this model; it reads text only.",
                join_path(path, "type"));
  } else if (read.kind == Kind::kImage) {
    read_image(part, path, read);
  }
  if (options.allow_parts) read.json = tessera::to_json(value);
  return read;
}

// M11: an object is accepted and serialised, an empty text means {}.
std::string read_arguments(const json::object& function, const std::string& path) {
  const json::value* value = find_field(function, "arguments");
  if (value == nullptr) return "{}";
  if (value->is_object()) return tessera::to_json(*value);
  const std::string_view text = as_string(*value, join_path(path, "arguments"));
  return trim(text).empty() ? "{}" : std::string(text);
}

std::vector<ToolCall> read_tool_calls(const json::object& message, const std::string& path) {
  std::vector<ToolCall> calls;
  const json::array* array = get_array(message, "tool_calls", path);
  if (array == nullptr) return calls;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const std::string call_path = index_path(join_path(path, "tool_calls"), i);
    const json::object& call = as_object((*array)[i], call_path);
    const std::string type = get_string(call, "type", call_path).value_or("function");
    if (type != "function") throw bad_value(join_path(call_path, "type"), type, {"function"});
    const std::string function_path = join_path(call_path, "function");
    const json::object& function = require_object(call, "function", call_path);
    ToolCall read{.id = require_string(call, "id", call_path),
                  .name = require_string(function, "name", function_path),
                  .arguments = read_arguments(function, function_path)};
    if (const json::object* extra = get_object(call, "extra_content", call_path)) {
      append_json(read.extra_content, *extra);
    }
    const bool repeated =
        std::ranges::any_of(calls, [&](const ToolCall& c) { return c.id == read.id; });
    if (repeated) {  // M12
      throw bad_message(join_path(call_path, "id"),
                        "the id " + quote_for_message(read.id) + " is given twice");
    }
    calls.push_back(std::move(read));
  }
  return calls;
}

// An assistant's turn that has neither text nor calls, but something that a provider may know.
bool said_otherwise(const ChatMessage& message) {
  return !message.reasoning_content.empty() || !message.thinking_blocks.empty() ||
         !message.extra.empty();
}

constexpr std::string_view kRead[] = {"role",       "content",      "name",
                                      "tool_calls", "tool_call_id", "function_call"};
// M10: clients replay what they were answered.
constexpr std::string_view kReplayed[] = {
    "refusal",         "annotations",   "audio", "reasoning", "reasoning_content",
    "thinking_blocks", "cache_control", "id",    "type"};

}  // namespace

ChatMessage MessageReader::read(const json::value& value, std::size_t index) {
  path_ = index_path("messages", index);
  const json::object& object = as_object(value, path_);
  ChatMessage message;
  const std::string role = require_string(object, "role", path_);
  message.role = role == "developer" ? "system" : role == "function" ? "tool" : role;
  message.is_developer = role == "developer";
  for (const auto& [name, content] : object) {
    if (std::ranges::find(kRead, std::string_view(name)) != std::end(kRead)) continue;
    read_other(name, content, message);
  }
  read_content(object, message);
  message.name = get_string(object, "name", path_).value_or("");
  if (utf8_length(message.name) > 64 && options_.profile != Profile::kExternal) {
    throw bad_message(join_path(path_, "name"), "a name has at most 64 characters");
  }
  if (message.role == "assistant") {
    read_calls(object, message);
  } else if (const json::array* calls = get_array(object, "tool_calls", path_);
             calls != nullptr && !calls->empty()) {
    throw bad_message(join_path(path_, "tool_calls"), "only an assistant message may have calls");
  }
  read_answered_call(object, role, message);
  check(message, role, index);
  return message;
}

void MessageReader::read_other(std::string_view name, const json::value& value,
                               ChatMessage& message) {
  const bool replayed = std::ranges::find(kReplayed, name) != std::end(kReplayed);
  const bool external = options_.profile == Profile::kExternal;
  if (!replayed ||
      (external && (name == "refusal" || name == "audio" || name == "cache_control"))) {
    return unknown_member(join_path(path_, name), name, value, options_, ignored_, message.extra);
  }
  if (!options_.allow_parts || message.role != "assistant") return;
  if ((name == "reasoning_content" || name == "reasoning") && value.is_string()) {
    message.reasoning_content = std::string(value.get_string());
  } else if (name == "thinking_blocks" && value.is_array() && !value.get_array().empty()) {
    message.thinking_blocks = tessera::to_json(value);
  }
}

void MessageReader::read_content(const json::object& object, ChatMessage& message) const {
  const json::value* content = find_field(object, "content");
  if (content == nullptr) return;
  if (content->is_string()) {
    message.content = std::string(content->get_string());
    return;
  }
  const std::string path = join_path(path_, "content");
  if (!content->is_array()) {
    throw_wrong_type(path, "a string or an array of content parts", *content);
  }
  const json::array& parts = content->get_array();
  if (parts.empty()) throw bad_message(path, "the array of parts must not be empty");
  message.content.emplace();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    ContentPart part = read_part(parts[i], index_path(path, i), options_);
    // Thoughts are no part of the history that our own models read.
    if (part.kind == Kind::kText || part.kind == Kind::kRefusal) *message.content += part.text;
    if (options_.allow_parts) message.parts.push_back(std::move(part));
  }
}

void MessageReader::read_calls(const json::object& object, ChatMessage& message) {
  message.tool_calls = read_tool_calls(object, path_);
  if (const json::object* legacy = get_object(object, "function_call", path_)) {
    const std::string function_path = join_path(path_, "function_call");
    legacy_id_ = "call_legacy_" + std::to_string(legacy_count_++);
    message.tool_calls.push_back({.id = legacy_id_,
                                  .name = require_string(*legacy, "name", function_path),
                                  .arguments = read_arguments(*legacy, function_path)});
  }
  for (const ToolCall& call : message.tool_calls) known_ids_.insert(call.id);
}

void MessageReader::read_answered_call(const json::object& object, std::string_view role,
                                       ChatMessage& message) const {
  message.tool_call_id = get_string(object, "tool_call_id", path_).value_or("");
  if (role == "function") message.tool_call_id = legacy_id_;
  if (message.role != "tool" && message.tool_call_id.empty()) return;
  const std::string id_path = join_path(path_, "tool_call_id");
  if (message.role != "tool") throw bad_message(id_path, "only a tool message answers a call");
  if (message.tool_call_id.empty()) {
    if (role == "function") throw bad_message(path_, "no earlier 'function_call' to answer");
    throw_missing(id_path);
  }
  if (!known_ids_.contains(message.tool_call_id)) {  // M5
    throw bad_message(id_path, "no earlier assistant message has a call with the id " +
                                   quote_for_message(message.tool_call_id));
  }
}

void MessageReader::check(const ChatMessage& message, const std::string& role,
                          std::size_t index) const {
  if (message.role != "system" && message.role != "user" && message.role != "assistant" &&
      message.role != "tool") {
    throw bad_message(join_path(path_, "role"),
                      "the role " + quote_for_message(role) +
                          " is unknown; it must be 'system', 'developer', 'user', 'assistant' or "
                          "'tool'");
  }
  if (!message.content && message.role != "assistant") {  // M2
    throw bad_message(join_path(path_, "content"),
                      "a message with the role '" + role + "' must have content");
  }
  if (!message.content && message.tool_calls.empty() && !said_otherwise(message)) {  // M3
    throw bad_message(join_path(path_, "content"),
                      "an assistant message must have content or calls");
  }
  if (message.role == "system" && index != 0 && options_.one_system_message_first) {  // M1
    throw bad_message(path_, "there can be one system message only, and it must come first");
  }
}

void write_message(JsonWriter& w, const ChatMessage& message, const WireOptions& wire) {
  const bool developer = message.is_developer && wire.developer_role;
  w.begin_object().member("role", developer ? "developer" : std::string_view(message.role));
  const auto writes = [&](const ContentPart& part) {
    return wire.reasoning_history || part.kind != Kind::kReasoning;
  };
  if (std::ranges::any_of(message.parts, writes)) {
    w.key("content").begin_array();
    for (const ContentPart& part : message.parts) {
      if (writes(part)) w.raw(part.json);
    }
    w.end_array();
  } else {
    w.member("content", message.content);
  }
  if (!message.name.empty()) w.member("name", message.name);
  if (!message.tool_call_id.empty()) w.member("tool_call_id", message.tool_call_id);
  write_tool_calls(w, message.tool_calls);
  if (wire.reasoning_history) {
    if (!message.reasoning_content.empty()) {
      w.member("reasoning_content", message.reasoning_content);
    }
    if (!message.thinking_blocks.empty()) w.key("thinking_blocks").raw(message.thinking_blocks);
  }
  write_extra(w, message.extra);
  w.end_object();
}

PartsRead read_parts(const json::array& parts) {
  PartsRead read;
  for (const json::value& value : parts) {
    const json::object* part = value.if_object();
    if (part == nullptr) continue;
    const Kind kind = kind_of(text_or_empty(*part, "type"));
    if (kind == Kind::kText) {
      if (!read.content) read.content.emplace();
      *read.content += text_or_empty(*part, "text");
    } else if (kind == Kind::kReasoning) {
      read.reasoning_content += reasoning_text(*part);
      read.thinking_blocks += read.thinking_blocks.empty() ? "[" : ",";
      read.thinking_blocks += tessera::to_json(value);
    }
  }
  if (!read.thinking_blocks.empty()) read.thinking_blocks += "]";
  return read;
}

}  // namespace tessera::api
