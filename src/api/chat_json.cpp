#include "api/chat.h"
#include "api/chat_messages.h"
#include "api/field_table.h"
#include "api/tools.h"
#include "api/wire_fields.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

struct ChatReading {
  ChatRequest request;
  GenerationReading generation;
  ToolReading tools;
  std::optional<bool> add_generation_prompt;
  bool has_tool_choice = false;  // where tools are not supported yet
};

void read_messages(ChatReading& r, const json::value& value, const Reading& at) {
  const bool external = at.options.profile == Profile::kExternal;
  const json::array& messages =
      read_array(at.field, value, 1, external ? std::numeric_limits<std::size_t>::max() : 2048);
  MessageReader reader(at.options, r.request.common.ignored_fields);
  r.request.messages.reserve(messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    r.request.messages.push_back(reader.read(messages[i], i));
  }
}

// --- Other fields of chat only (2.2) ---

// Our own models get tools with a later version; until then only their absence can be asked for.
template <void (*kRead)(ToolReading&, const json::value&, const Reading&)>
void read_or_refuse_tools(ChatReading& r, const json::value& value, const Reading& at) {
  if (at.options.allow_tools) return kRead(r.tools, value, at);
  if (!is_neutral(value)) throw not_supported_yet(at.field);
}

void read_choice(ChatReading& r, const json::value& value, const Reading& at) {
  if (at.options.allow_tools) return read_tool_choice(r.tools, value, at);
  if (value.is_string() && value.get_string() == "none") return;
  if (!value.is_string() && !value.is_object()) {
    throw_wrong_type(at.field, "a string or an object", value);
  }
  r.has_tool_choice = true;
}

void read_legacy_choice(ChatReading& r, const json::value& value, const Reading& at) {
  if (at.options.allow_tools) return read_function_call(r.tools, value, at);
  const bool none = value.is_string() && value.get_string() == "none";
  if (!none && !is_neutral(value)) throw not_supported_yet(at.field);
}

void read_format(ChatReading& r, const json::value& value, const Reading& at) {
  if (at.options.allow_tools) {
    r.request.response_format = read_response_format(value, at);
  } else {
    apply(generation_fields(), r.generation, at.field, value, at.options);
  }
}

void read_effort(ChatReading& r, const json::value& value, const Reading& at) {
  if (at.options.profile == Profile::kExternal) {
    r.request.reasoning_effort = read_string(at.field, value);
  } else {
    apply(generation_fields(), r.generation, at.field, value, at.options);
  }
}

void read_thinking(ChatReading& r, const json::value& value, const Reading& at) {
  if (at.options.profile == Profile::kExternal) {
    as_object(value, at.field);
    r.request.thinking = tessera::to_json(value);
  } else {
    apply(generation_fields(), r.generation, at.field, value, at.options);
  }
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
    {"tools", read_or_refuse_tools<read_tools>},
    {"functions", read_or_refuse_tools<read_functions>},
    {"tool_choice", read_choice},
    {"function_call", read_legacy_choice},
    {"parallel_tool_calls",
     [](ChatReading& r, const json::value& v, const Reading& at) {
       r.request.parallel_tool_calls = read_bool(at.field, v);
     }},
    {"response_format", read_format},
    {"reasoning_effort", read_effort},
    {"thinking", read_thinking},
    {"logprobs", [](ChatReading& r, const json::value& v,
                    const Reading& at) { r.request.logprobs = read_bool(at.field, v); }},
    {"top_logprobs", read_top_logprobs},
    {"add_generation_prompt",
     [](ChatReading& r, const json::value& v, const Reading& at) {
       r.generation.vendor_fields = true;
       r.add_generation_prompt = read_bool(at.field, v);
     },
     kOurs},
    {"continue_final_message",
     [](ChatReading& r, const json::value& v, const Reading& at) {
       r.generation.vendor_fields = true;
       r.request.continue_final_message = read_bool(at.field, v);
     },
     kOurs},
    {"chat_template", read_chat_template, kOurs},
    {"chat_template_kwargs", read_template_kwargs, kOurs},
    {"documents", read_documents, kOurs},
    {"json_schema", read_alias_of_structured_outputs, kOurs},
    {"grammar", read_alias_of_structured_outputs, kOurs},
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
  read_members(body.object(), options, request.common,
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
  finish_tools(std::move(reading.tools), request);
  request.generation = finish_generation(std::move(reading.generation), options, false);
  if (request.top_logprobs != 0 && !request.logprobs && options.profile != Profile::kExternal) {
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

std::string to_json(const ChatRequest& request, const WireOptions& wire) {
  std::size_t size = 512;
  for (const ChatMessage& message : request.messages) {
    size += 64 + (message.content ? message.content->size() : 0);
    for (const ContentPart& part : message.parts) size += part.json.size();
  }
  JsonWriter w(size);
  write_common(w.begin_object(), request.common, wire);
  w.key("messages").begin_array();
  for (const ChatMessage& message : request.messages) write_message(w, message, wire);
  w.end_array();
  write_generation(w, request.generation, wire);
  write_tools(w, request);
  if (request.response_format) write_response_format(w, *request.response_format);
  if (wire.members) return w.end_object().take();
  if (!request.reasoning_effort.empty()) w.member("reasoning_effort", request.reasoning_effort);
  if (!request.thinking.empty()) w.key("thinking").raw(request.thinking);
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
  write_extra(w, request.common.extra);
  return w.end_object().take();
}

}  // namespace tessera::api
