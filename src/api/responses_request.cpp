// A request of the Responses API as a chat request.
#include "api/field_table.h"
#include "api/responses.h"
#include "api/translation.h"
#include "api/upstream_fields.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

Error unsupported_value(const std::string& path, std::string_view got, std::string_view only) {
  return Error(ErrorKind::kUnsupportedValue,
               "Unsupported value: " + quote_for_message(path) + " is " + quote_for_message(got) +
                   "; this endpoint has " + std::string(only) + " only.",
               path);
}

// Texts of what the user says and of what was answered earlier are parts of different names.
json::object part_of(const json::object& part, const std::string& path) {
  const std::string type = require_string(part, "type", path);
  if (type == "input_text" || type == "output_text" || type == "text") {
    return {{"type", "text"}, {"text", require_string(part, "text", path)}};
  }
  if (type == "refusal") return {{"type", type}, {"refusal", require_string(part, type, path)}};
  if (type == "input_image") {
    json::object image = {{"url", require_string(part, "image_url", path)}};
    if (const auto detail = get_string(part, "detail", path)) image["detail"] = *detail;
    return {{"type", "image_url"}, {"image_url", std::move(image)}};
  }
  if (type == "input_file") {
    json::object file = {{"file_data", require_string(part, "file_data", path)}};
    if (const auto name = get_string(part, "filename", path)) file["filename"] = *name;
    return {{"type", "file"}, {"file", std::move(file)}};
  }
  if (type == "input_audio") return part;
  throw unsupported_content(path, "part", type);
}

json::value content_of(const json::value& content, const std::string& path) {
  if (content.is_string()) return content;
  if (!content.is_array()) throw_wrong_type(path, "a string or an array of parts", content);
  json::array parts;
  for (std::size_t i = 0; i < content.get_array().size(); ++i) {
    const std::string part_path = index_path(path, i);
    parts.push_back(part_of(as_object(content.get_array()[i], part_path), part_path));
  }
  if (parts.size() == 1 && parts[0].at("type") == "text") return parts[0].at("text");
  return parts;
}

// What an assistant said and called in one turn comes as several items.
json::object& assistant_turn(json::array& messages) {
  if (messages.empty() || messages.back().at("role") != "assistant") {
    messages.push_back(json::object{{"role", "assistant"}});
  }
  return messages.back().get_object();
}

void add_call(const json::object& item, const std::string& path, json::array& messages) {
  json::value& calls = assistant_turn(messages)["tool_calls"];
  if (!calls.is_array()) calls.emplace_array();
  calls.get_array().push_back(json::object{
      {"id", require_string(item, "call_id", path)},
      {"type", "function"},
      {"function", json::object{{"name", require_string(item, "name", path)},
                                {"arguments", require_string(item, "arguments", path)}}}});
}

void add_message(const json::object& item, const std::string& path, json::array& messages) {
  const std::string role = require_string(item, "role", path);
  const json::value* content = find_field(item, "content");
  const std::string content_path = join_path(path, "content");
  if (content == nullptr) throw_missing(content_path);
  json::value value = content_of(*content, content_path);
  if (role == "assistant") {
    // A turn has one content; a second message is a second turn.
    json::object& turn = assistant_turn(messages);
    if (!turn.contains("content") && !turn.contains("tool_calls")) {
      turn["content"] = std::move(value);
      return;
    }
  }
  messages.push_back(json::object{{"role", role}, {"content", std::move(value)}});
}

void add_reasoning(const json::object& item, json::array& messages) {
  std::string text;
  for (const json::value& entry : array_or_empty(item, "summary")) {
    if (entry.is_object()) text += text_or_empty(entry.get_object(), "text");
  }
  if (text.empty()) return;
  messages.push_back(json::object{{"role", "assistant"}, {"reasoning_content", text}});
}

void add_item(const json::value& value, const std::string& path, json::array& messages) {
  const json::object& item = as_object(value, path);
  const std::string type = get_string(item, "type", path).value_or("message");
  if (type == "message") {
    add_message(item, path, messages);
  } else if (type == "function_call") {
    add_call(item, path, messages);
  } else if (type == "function_call_output") {
    const json::value* output = find_field(item, "output");
    const std::string output_path = join_path(path, "output");
    if (output == nullptr) throw_missing(output_path);
    messages.push_back(json::object{{"role", "tool"},
                                    {"tool_call_id", require_string(item, "call_id", path)},
                                    {"content", content_of(*output, output_path)}});
  } else if (type == "reasoning") {
    add_reasoning(item, messages);
  } else {
    throw unsupported_value(join_path(path, "type"), type,
                            "messages, functions' calls and outputs, and reasoning");
  }
}

json::array messages_of(const json::object& body) {
  json::array messages;
  if (const auto instructions = get_string(body, "instructions")) {
    messages.push_back(json::object{{"role", "system"}, {"content", *instructions}});
  }
  const json::value* input = find_field(body, "input");
  if (input == nullptr) throw_missing("input");
  if (input->is_string()) {
    messages.push_back(json::object{{"role", "user"}, {"content", *input}});
    return messages;
  }
  if (!input->is_array()) throw_wrong_type("input", "a string or an array of items", *input);
  const json::array& items = input->get_array();
  if (items.empty()) check_length(0, 1, 100'000, "input");
  for (std::size_t i = 0; i < items.size(); ++i) {
    add_item(items[i], index_path("input", i), messages);
  }
  // Thoughts alone are no turn.
  json::array turns;
  for (json::value& message : messages) {
    const json::object& turn = message.get_object();
    if (turn.contains("content") || turn.contains("tool_calls")) turns.push_back(message);
  }
  if (turns.empty()) check_length(0, 1, 100'000, "input");
  return turns;
}

json::array tools_of(const json::array& tools) {
  json::array functions;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string path = index_path("tools", i);
    const json::object& tool = as_object(tools[i], path);
    const std::string type = require_string(tool, "type", path);
    if (type != "function") throw unsupported_value(join_path(path, "type"), type, "functions");
    json::object function;
    for (const char* name : {"name", "description", "parameters", "strict"}) {
      if (const json::value* value = find_field(tool, name)) function[name] = *value;
    }
    functions.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
  }
  return functions;
}

json::object named(const json::object& choice, const std::string& path) {
  return {{"type", "function"},
          {"function", json::object{{"name", require_string(choice, "name", path)}}}};
}

json::value tool_choice_of(const json::value& value) {
  if (!value.is_object()) return value;
  const json::object& choice = value.get_object();
  const std::string type = require_string(choice, "type", "tool_choice");
  if (type == "function") return named(choice, "tool_choice");
  if (type != "allowed_tools") {
    throw unsupported_value("tool_choice.type", type, "'function' and 'allowed_tools'");
  }
  json::array tools;
  const json::array& allowed = require_array(choice, "tools", "tool_choice");
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    const std::string path = index_path("tool_choice.tools", i);
    tools.push_back(named(as_object(allowed[i], path), path));
  }
  return {{"type", type},
          {type, {{"mode", require_string(choice, "mode", "tool_choice")}, {"tools", tools}}}};
}

void add_text(const json::object& text, json::object& out) {
  if (const auto verbosity = get_string(text, "verbosity", "text")) out["verbosity"] = *verbosity;
  const json::object* format = get_object(text, "format", "text");
  if (format == nullptr) return;
  const std::string type = require_string(*format, "type", "text.format");
  if (type != "json_schema") {
    out["response_format"] = {{"type", type}};
    return;
  }
  json::object schema;
  for (const char* name : {"name", "description", "schema", "strict"}) {
    if (const json::value* value = find_field(*format, name)) schema[name] = *value;
  }
  out["response_format"] = {{"type", type}, {type, std::move(schema)}};
}

void add_include(const json::array& include, json::object& out) {
  for (std::size_t i = 0; i < include.size(); ++i) {
    const std::string path = index_path("include", i);
    const std::string_view what = as_string(include[i], path);
    if (what == "message.output_text.logprobs") {
      out["logprobs"] = true;
    } else if (what != "reasoning.encrypted_content") {  // of which there is none to include
      throw unsupported_value(path, what, "'message.output_text.logprobs'");
    }
  }
}

// What would need a memory of earlier answers, or a service behind the model.
constexpr std::string_view kRefused[] = {"background",   "store",  "previous_response_id",
                                         "conversation", "prompt", "context_management"};
// The same here and there.
constexpr std::string_view kSame[] = {
    "model",    "temperature", "top_p",        "parallel_tool_calls", "metadata",
    "user",     "stream",      "service_tier", "safety_identifier",   "prompt_cache_key",
    "verbosity"};

json::object chat_body(const json::object& body) {
  json::object out;
  for (const auto& [name, value] : body) {
    if (value.is_null()) continue;
    if (among(kRefused, name)) {
      if (!is_neutral(value)) throw unsupported_parameter(name);
    } else if (among(kSame, name)) {
      out[name] = value;
    } else if (name == "input" || name == "instructions") {
      // together, below
    } else if (name == "max_output_tokens") {
      out["max_completion_tokens"] = value;
    } else if (name == "top_logprobs") {
      out["top_logprobs"] = value;
      if (!is_neutral(value)) out["logprobs"] = true;
    } else if (name == "text") {
      add_text(as_object(value, name), out);
    } else if (name == "tools") {
      out["tools"] = tools_of(as_array(value, name));
    } else if (name == "tool_choice") {
      out["tool_choice"] = tool_choice_of(value);
    } else if (name == "reasoning") {
      if (const auto effort = get_string(as_object(value, name), "effort", name)) {
        out["reasoning_effort"] = *effort;
      }
    } else if (name == "include") {
      add_include(as_array(value, name), out);
    } else if (name == "truncation") {
      if (as_string(value, name) != "disabled") {
        throw unsupported_value("truncation", as_string(value, name), "'disabled'");
      }
    } else if (name == "stream_options" || name == "max_tool_calls") {
      // Padding that we never send; calls of tools that nobody here makes by himself.
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
      {"max_completion_tokens", "max_output_tokens"},
      {"response_format.json_schema", "text.format"},
      {"response_format", "text.format"},
      {"reasoning_effort", "reasoning.effort"},
      {"messages", "input"}};
  for (const auto& [ours, theirs] : kNames) {
    if (error.param.starts_with(ours)) return rename_param(error, ours, theirs);
  }
}

}  // namespace

ChatRequest parse_responses_request(const Body& body, const ParseOptions& options) {
  try {
    ChatRequest request = parse_chat_request(Body(chat_body(body.object())), options);
    request.generation.include_usage = request.generation.stream;
    return request;
  } catch (Error& error) {
    use_their_names(error);
    throw;
  }
}

}  // namespace tessera::api
