// A request of the Messages API as a chat request.
#include "api/field_table.h"
#include "api/messages.h"
#include "api/translation.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

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
  if (type != "base64") throw unsupported_content(source_path, "block", type);
  const std::string title = get_string(block, "title", path).value_or("document.pdf");
  return {
      {"type", "file"},
      {"file", json::object{{"filename", title}, {"file_data", data_uri(source, source_path)}}}};
}

json::object part_of(const json::object& block, std::string_view type, const std::string& path) {
  if (type == "text") return text_part(block, path);
  if (type == "image") return image_part(block, path);
  if (type == "document") return document_part(block, path);
  throw unsupported_content(path, "block", type);
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
          throw unsupported_content(at, "block", type);
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
               if (type != "text") throw unsupported_content(at, "block", type);
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
void use_their_names(Error& error) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"stop", "stop_sequences"},
      {"user", "metadata.user_id"},
      {"reasoning_effort", "output_config.effort"},
      {"response_format", "output_config.format"},
      {"parallel_tool_calls", "tool_choice.disable_parallel_tool_use"}};
  for (const auto& [ours, theirs] : kNames) {
    const bool whole = error.param == ours;
    if (whole || error.param.starts_with(std::string(ours) + "[")) {
      return rename_param(error, ours, theirs);
    }
  }
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
    use_their_names(error);
    throw;
  }
}

}  // namespace tessera::api
