#include <algorithm>
#include <unordered_set>

#include "api/chat.h"
#include "api/field_table.h"
#include "api/wire_fields.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

struct ChatReading {
  ChatRequest request;
  GenerationReading generation;
  std::optional<bool> add_generation_prompt;
  bool has_tool_choice = false;
};

// --- Messages (data-plane 2.3; the rules are numbered M1–M12 there) ---

// The parts of a content array that a text model can read, joined (2.3, "Content parts").
std::string join_parts(const json::array& parts, const std::string& path) {
  if (parts.empty()) throw bad_message(path, "the array of parts must not be empty");
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = index_path(path, i);
    const json::object& part = as_object(parts[i], part_path);
    const std::string type = require_string(part, "type", part_path);
    if (type == "text" || type == "refusal") {
      text += require_string(part, type, part_path);
    } else if (type != "reasoning") {  // which is dropped from the history
      throw Error(ErrorKind::kUnsupportedContent,
                  "Unsupported content: a part of type " + quote_for_message(type) +
                      " is not supported by this model; it reads text only.",
                  join_path(part_path, "type"));
    }
  }
  return text;
}

std::optional<std::string> read_content(const json::object& message, const std::string& path) {
  const json::value* content = find_field(message, "content");
  if (content == nullptr) return std::nullopt;
  const std::string content_path = join_path(path, "content");
  if (content->is_string()) return std::string(content->get_string());
  if (content->is_array()) return join_parts(content->get_array(), content_path);
  throw_wrong_type(content_path, "a string or an array of content parts", *content);
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

bool is_message_field(std::string_view name) {
  static constexpr std::string_view kFields[] = {
      "role", "content", "name", "tool_calls", "tool_call_id",
      // M10: clients replay what they were answered.
      "refusal", "annotations", "audio", "function_call", "reasoning", "reasoning_content",
      "cache_control", "id", "type"};
  return std::ranges::find(kFields, name) != std::end(kFields);
}

// Reads messages in order; remembers which calls a tool message may answer.
class MessageReader {
 public:
  MessageReader(const ParseOptions& options, std::vector<std::string>& ignored)
      : options_(options), ignored_(ignored) {}

  ChatMessage read(const json::value& value, std::size_t index) {
    path_ = index_path("messages", index);
    const json::object& object = as_object(value, path_);
    for (const auto& [name, content] : object) {
      if (!is_message_field(name)) unknown_field(join_path(path_, name), options_, ignored_);
    }
    ChatMessage message;
    const std::string role = require_string(object, "role", path_);
    message.role = role == "developer" ? "system" : role == "function" ? "tool" : role;
    message.content = read_content(object, path_);
    message.name = get_string(object, "name", path_).value_or("");
    if (utf8_length(message.name) > 64) {
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

 private:
  void read_calls(const json::object& object, ChatMessage& message) {
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

  void read_answered_call(const json::object& object, std::string_view role,
                          ChatMessage& message) const {
    message.tool_call_id = get_string(object, "tool_call_id", path_).value_or("");
    if (role == "function") message.tool_call_id = legacy_id_;
    const std::string id_path = join_path(path_, "tool_call_id");
    if (message.role != "tool") {
      if (!message.tool_call_id.empty()) {
        throw bad_message(id_path, "only a tool message answers a call");
      }
      return;
    }
    if (message.tool_call_id.empty()) {
      if (role == "function") throw bad_message(path_, "no earlier 'function_call' to answer");
      throw_missing(id_path);
    }
    if (!known_ids_.contains(message.tool_call_id)) {  // M5
      throw bad_message(id_path, "no earlier assistant message has a call with the id " +
                                     quote_for_message(message.tool_call_id));
    }
  }

  void check(const ChatMessage& message, const std::string& role, std::size_t index) const {
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
    if (!message.content && message.tool_calls.empty()) {  // M3
      throw bad_message(join_path(path_, "content"),
                        "an assistant message must have content or calls");
    }
    if (message.role == "system" && index != 0 && options_.one_system_message_first) {  // M1
      throw bad_message(path_, "there can be one system message only, and it must come first");
    }
  }

  const ParseOptions& options_;
  std::vector<std::string>& ignored_;
  std::string path_;
  std::unordered_set<std::string> known_ids_;
  std::string legacy_id_;
  int legacy_count_ = 0;
};

void read_messages(ChatReading& r, const json::value& value, const Reading& at) {
  const json::array& messages = read_array(at.field, value, 1, 2048);
  MessageReader reader(at.options, r.request.common.ignored_fields);
  r.request.messages.reserve(messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    r.request.messages.push_back(reader.read(messages[i], i));
  }
}

// --- Other fields of chat only (2.2) ---

// Tools come with a later version; until then only their absence can be asked for.
void refuse_tools(ChatReading&, const json::value& value, const Reading& at) {
  if (!is_neutral(value)) throw not_supported_yet(at.field);
}

void read_tool_choice(ChatReading& r, const json::value& value, const Reading& at) {
  if (value.is_string() && value.get_string() == "none") return;
  if (!value.is_string() && !value.is_object()) {
    throw_wrong_type(at.field, "a string or an object", value);
  }
  r.has_tool_choice = true;
}

void read_function_call(ChatReading&, const json::value& value, const Reading& at) {
  const bool none = value.is_string() && value.get_string() == "none";
  if (!none && !is_neutral(value)) throw not_supported_yet(at.field);
}

void read_top_logprobs(ChatReading& r, const json::value& value, const Reading& at) {
  const int lowest = at.options.profile == Profile::kDatabricks ? 0 : -1;
  r.request.top_logprobs = read_int(at.field, value, lowest, at.options.max_top_logprobs);
}

void read_chat_template(ChatReading& r, const json::value& value, const Reading& at) {
  if (!at.options.allow_chat_template) throw unsupported_parameter(at.field);
  r.generation.vendor_fields = true;
  r.request.chat_template = read_string(at.field, value, 64u << 10);
}

void read_template_kwargs(ChatReading& r, const json::value& value, const Reading& at) {
  const json::object& kwargs = as_object(value, at.field);
  check_length(kwargs.size(), 0, 16, at.field);
  for (const std::string_view taken : {"messages", "tools", "bos_token", "eos_token"}) {
    if (!kwargs.contains(taken)) continue;
    throw Error(ErrorKind::kBadValue,
                "Invalid value for 'chat_template_kwargs': the key " + quote_for_message(taken) +
                    " belongs to the server.",
                join_path(at.field, taken));
  }
  r.generation.vendor_fields = true;
  if (!kwargs.empty()) r.request.chat_template_kwargs = tessera::to_json(value);
}

void read_documents(ChatReading& r, const json::value& value, const Reading& at) {
  const json::array& documents = read_array(at.field, value, 0, 128);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const std::string path = index_path(at.field, i);
    for (const auto& [key, text] : as_object(documents[i], path)) {
      as_string(text, join_path(path, utf8_prefix(key, 100)));
    }
  }
  r.generation.vendor_fields = true;
  if (!documents.empty()) r.request.documents = tessera::to_json(value);
}

void read_alias_of_structured_outputs(ChatReading& r, const json::value& value, const Reading& at) {
  if (at.options.profile == Profile::kDatabricks) {
    return unknown_field(at.field, at.options, r.request.common.ignored_fields);
  }
  if (!is_neutral(value)) throw not_supported_yet(at.field);
}

constexpr Field<ChatReading> kChatFields[] = {
    {"messages", read_messages},
    {"tools", refuse_tools},
    {"functions", refuse_tools},
    {"tool_choice", read_tool_choice},
    {"function_call", read_function_call},
    {"parallel_tool_calls",
     [](ChatReading&, const json::value& v, const Reading& at) { read_bool(at.field, v); }},
    {"logprobs", [](ChatReading& r, const json::value& v,
                    const Reading& at) { r.request.logprobs = read_bool(at.field, v); }},
    {"top_logprobs", read_top_logprobs},
    {"add_generation_prompt",
     [](ChatReading& r, const json::value& v, const Reading& at) {
       r.generation.vendor_fields = true;
       r.add_generation_prompt = read_bool(at.field, v);
     }},
    {"continue_final_message",
     [](ChatReading& r, const json::value& v, const Reading& at) {
       r.generation.vendor_fields = true;
       r.request.continue_final_message = read_bool(at.field, v);
     }},
    {"chat_template", read_chat_template},
    {"chat_template_kwargs", read_template_kwargs},
    {"documents", read_documents},
    {"json_schema", read_alias_of_structured_outputs},
    {"grammar", read_alias_of_structured_outputs},
};

void check_last_message(const ChatRequest& request, const ParseOptions& options) {
  const std::string& role = request.messages.back().role;
  const std::string path = index_path("messages", request.messages.size() - 1);
  if (request.continue_final_message) {
    if (role != "assistant") {
      throw bad_message(path,
                        "with 'continue_final_message' the last message must be the assistant's");
    }
  } else if (options.last_message_from_user && role != "user" && role != "tool") {  // M9
    throw bad_message(path, "the last message must have the role 'user' or 'tool'");
  }
}

}  // namespace

ChatRequest parse_chat_request(const Body& body, const ParseOptions& options) {
  ChatReading reading;
  ChatRequest& request = reading.request;
  read_members(body.object(), options, request.common.ignored_fields,
               [&](std::string_view name, const json::value& value) {
                 return apply<ChatReading>(kChatFields, reading, name, value, options) ||
                        apply(generation_fields(), reading.generation, name, value, options) ||
                        apply(common_fields(), request.common, name, value, options);
               });
  if (options.model_required && request.common.model.empty()) throw_missing("model");
  if (request.messages.empty()) throw_missing("messages");
  if (reading.has_tool_choice) {
    throw Error(ErrorKind::kBadValue,
                "Invalid value for 'tool_choice': it must be 'none' when there are no 'tools'.",
                "tool_choice");
  }
  request.generation = finish_generation(std::move(reading.generation), options, false);
  if (request.top_logprobs != 0 && !request.logprobs) {
    throw conflict("top_logprobs", "logprobs", "it needs 'logprobs' to be true");
  }
  if (request.continue_final_message && reading.add_generation_prompt.value_or(false)) {
    throw conflict("continue_final_message", "add_generation_prompt", "both cannot be true");
  }
  request.add_generation_prompt =
      reading.add_generation_prompt.value_or(!request.continue_final_message);
  check_last_message(request, options);
  return std::move(request);
}

namespace {

void write_message(JsonWriter& w, const ChatMessage& message) {
  w.begin_object().member("role", message.role).member("content", message.content);
  if (!message.name.empty()) w.member("name", message.name);
  if (!message.tool_call_id.empty()) w.member("tool_call_id", message.tool_call_id);
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
}

}  // namespace

std::string to_json(const ChatRequest& request, const WireOptions& wire) {
  std::size_t size = 512;
  for (const ChatMessage& message : request.messages) {
    size += 64 + (message.content ? message.content->size() : 0);
  }
  JsonWriter w(size);
  write_common(w.begin_object(), request.common, wire);
  w.key("messages").begin_array();
  for (const ChatMessage& message : request.messages) write_message(w, message);
  w.end_array();
  write_generation(w, request.generation, wire);
  if (request.logprobs) w.member("logprobs", true);
  if (request.top_logprobs != 0) w.member("top_logprobs", request.top_logprobs);
  if (request.continue_final_message) {
    w.member("continue_final_message", true);
  } else if (!request.add_generation_prompt) {
    w.member("add_generation_prompt", false);
  }
  if (!request.chat_template.empty()) w.member("chat_template", request.chat_template);
  if (!request.chat_template_kwargs.empty()) {
    w.key("chat_template_kwargs").raw(request.chat_template_kwargs);
  }
  if (!request.documents.empty()) w.key("documents").raw(request.documents);
  return w.end_object().take();
}

}  // namespace tessera::api
