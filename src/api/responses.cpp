#include "api/responses.h"

#include <algorithm>

#include "api/field_table.h"
#include "api/json_writer.h"
#include "api/tools.h"
#include "api/wire_fields.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

// --- Requests ---

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
  throw Error(ErrorKind::kUnsupportedContent,
              "Unsupported content: a part of type " + quote_for_message(type) +
                  " cannot be put to this model.",
              join_path(path, "type"));
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

template <std::size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

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
void rename_param(Error& error) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"max_completion_tokens", "max_output_tokens"},
      {"response_format.json_schema", "text.format"},
      {"response_format", "text.format"},
      {"reasoning_effort", "reasoning.effort"},
      {"messages", "input"}};
  for (const auto& [ours, theirs] : kNames) {
    if (!error.param.starts_with(ours)) continue;
    const std::string quoted = "'" + error.param;
    error.param.replace(0, ours.size(), theirs);
    if (const std::size_t at = error.message.find(quoted); at != std::string::npos) {
      error.message.replace(at + 1, ours.size(), theirs);
    }
    return;
  }
}

// --- Answers ---

std::string repeated_members(const ChatRequest& request) {
  const GenerationFields& fields = request.generation;
  JsonWriter w(256);
  w.begin_object().member("max_output_tokens", fields.max_tokens);
  w.member("parallel_tool_calls", request.parallel_tool_calls.value_or(true));
  w.member("previous_response_id", nullptr).member("store", false);
  w.member("temperature", fields.temperature).member("top_p", fields.top_p);
  w.key("reasoning").begin_object().key("effort");
  if (request.reasoning_effort.empty()) {
    w.value(nullptr);
  } else {
    w.value(request.reasoning_effort);
  }
  w.member("summary", nullptr).end_object();
  w.key("text").begin_object().key("format").begin_object();
  const ResponseFormat format = request.response_format.value_or(ResponseFormat());
  switch (format.kind) {
    case ResponseFormat::Kind::kText:
      w.member("type", "text");
      break;
    case ResponseFormat::Kind::kJsonObject:
      w.member("type", "json_object");
      break;
    case ResponseFormat::Kind::kJsonSchema:
      w.member("type", "json_schema").member("name", format.name).key("schema").raw(format.schema);
      w.member("strict", format.strict);
      break;
  }
  w.end_object().end_object().key("tool_choice");
  const ToolChoice choice = request.tool_choice.value_or(ToolChoice());
  switch (choice.mode) {
    case ToolChoice::Mode::kAuto:
      w.value("auto");
      break;
    case ToolChoice::Mode::kNone:
      w.value("none");
      break;
    case ToolChoice::Mode::kRequired:
      w.value("required");
      break;
    case ToolChoice::Mode::kNamed:
      w.begin_object().member("type", "function").member("name", choice.name).end_object();
      break;
  }
  w.key("tools").begin_array();
  for (const Tool& tool : request.tools) {
    w.begin_object().member("type", "function").member("name", tool.name);
    w.member("description", tool.description).key("parameters");
    w.raw(tool.parameters.empty() ? "{}" : tool.parameters).member("strict", tool.strict);
    w.end_object();
  }
  w.end_array().member("truncation", "disabled").key("metadata").begin_object();
  for (const auto& [key, value] : request.common.metadata) w.member(key, value);
  std::string object = w.end_object().end_object().take();
  return object.substr(1, object.size() - 2);
}

void write_responses_usage(JsonWriter& w, const std::optional<Usage>& usage) {
  w.key("usage");
  if (!usage) {
    w.value(nullptr);
    return;
  }
  w.begin_object().member("input_tokens", usage->prompt_tokens);
  w.key("input_tokens_details").begin_object();
  w.member("cached_tokens", usage->cached_tokens.value_or(0)).end_object();
  w.member("output_tokens", usage->completion_tokens.value_or(0));
  w.key("output_tokens_details").begin_object();
  w.member("reasoning_tokens", usage->reasoning_tokens.value_or(0)).end_object();
  w.member("total_tokens", usage->total_tokens).end_object();
}

std::string_view status_of(std::optional<FinishReason> reason) {
  const bool cut = reason == FinishReason::kLength || reason == FinishReason::kContentFilter;
  return cut ? "incomplete" : "completed";
}

// Everything of a response but its output, which `write_output` writes.
template <class WriteOutput>
std::string response_object(std::string_view id, std::int64_t created, std::string_view model,
                            std::string_view status, std::optional<FinishReason> finish,
                            const Error* error, const std::optional<Usage>& usage,
                            std::string_view repeated, WriteOutput write_output) {
  JsonWriter w(1024);
  w.begin_object().member("id", id).member("object", "response").member("created_at", created);
  w.member("status", status).key("error");
  if (error == nullptr) {
    w.value(nullptr);
  } else {
    w.begin_object().member("code", error->code.empty() ? wire_form(error->kind).openai_code
                                                        : std::string_view(error->code));
    w.member("message", error->message).end_object();
  }
  w.key("incomplete_details");
  if (status == "incomplete") {
    const bool length = finish == FinishReason::kLength;
    w.begin_object().member("reason", length ? "max_output_tokens" : "content_filter").end_object();
  } else {
    w.value(nullptr);
  }
  w.member("instructions", nullptr).member("model", model).key("output").begin_array();
  write_output(w);
  w.end_array().raw(repeated);
  write_responses_usage(w, usage);
  return w.end_object().take();
}

std::string response_id(std::string_view id) {
  if (id.starts_with("resp_")) return std::string(id);
  if (id.starts_with("chatcmpl-")) id.remove_prefix(9);
  return "resp_" + std::string(id);
}

std::string item_id(std::string_view prefix, std::string_view response, std::size_t number) {
  response = response.substr(response.find('_') + 1);
  return std::string(prefix) + std::string(response) + "_" + std::to_string(number);
}

void write_reasoning_item(JsonWriter& w, std::string_view id, std::string_view text) {
  w.begin_object().member("id", id).member("type", "reasoning").key("summary").begin_array();
  if (!text.empty()) {
    w.begin_object().member("type", "summary_text").member("text", text).end_object();
  }
  w.end_array().end_object();
}

void write_part(JsonWriter& w, bool refusal, std::string_view text, const ChatLogprobs* scores) {
  w.begin_object().member("type", refusal ? "refusal" : "output_text");
  w.member(refusal ? "refusal" : "text", text);
  if (!refusal) {
    w.key("annotations").begin_array().end_array().key("logprobs");
    write_scores(w, scores == nullptr ? std::vector<ChatTokenLogprob>() : scores->content);
  }
  w.end_object();
}

JsonWriter& begin_message_item(JsonWriter& w, std::string_view id, std::string_view status) {
  w.begin_object().member("id", id).member("type", "message").member("status", status);
  return w.member("role", "assistant").key("content").begin_array();
}

void write_call_item(JsonWriter& w, std::string_view id, std::string_view status,
                     std::string_view call_id, std::string_view name, std::string_view arguments) {
  w.begin_object().member("id", id).member("type", "function_call").member("status", status);
  w.member("call_id", call_id).member("name", name).member("arguments", arguments).end_object();
}

}  // namespace

ChatRequest parse_responses_request(const Body& body, const ParseOptions& options) {
  try {
    ChatRequest request = parse_chat_request(Body(chat_body(body.object())), options);
    request.generation.include_usage = request.generation.stream;
    return request;
  } catch (Error& error) {
    rename_param(error);
    throw;
  }
}

std::string responses_json(const ChatResponse& response, const ChatRequest& request) {
  static const ChatChoice kNone;
  const ChatChoice& choice = response.choices.empty() ? kNone : response.choices.front();
  const std::string id = response_id(response.id);
  const std::string_view status = status_of(choice.finish_reason);
  std::size_t number = 0;
  return response_object(
      id, response.created, response.model, status, choice.finish_reason, nullptr, response.usage,
      repeated_members(request), [&](JsonWriter& w) {
        if (!choice.reasoning_content.empty()) {
          write_reasoning_item(w, item_id("rs_", id, number++), choice.reasoning_content);
        }
        const std::string text = choice.message.content.value_or("");
        const bool refused = choice.refusal && !choice.refusal->empty();
        if (!text.empty() || refused || choice.message.tool_calls.empty()) {
          begin_message_item(w, item_id("msg_", id, number++), status);
          if (!text.empty() || !refused) {
            write_part(w, false, text, choice.logprobs ? &*choice.logprobs : nullptr);
          }
          if (refused) write_part(w, true, *choice.refusal, nullptr);
          w.end_array().end_object();
        }
        for (const ToolCall& call : choice.message.tool_calls) {
          write_call_item(w, item_id("fc_", id, number++), status, call.id, call.name,
                          call.arguments);
        }
      });
}

// --- Streams ---

ResponsesStream::ResponsesStream(const ChatRequest& request, std::string id_suffix,
                                 std::int64_t created)
    : id_suffix_(std::move(id_suffix)), created_(created), repeated_(repeated_members(request)) {}

void ResponsesStream::event(std::string_view type, std::string_view members, std::string& out) {
  out += "event: ";
  out += type;
  out += "\ndata: ";
  JsonWriter w(members.size() + 96);
  w.begin_object().member("type", type).member("sequence_number", sequence_++);
  out += w.raw(members).end_object().take();
  out += "\n\n";
}

namespace {

// The members of an object that `write` fills.
template <class Write>
std::string members(Write write) {
  JsonWriter w(192);
  write(w.begin_object());
  std::string object = w.end_object().take();
  return object.substr(1, object.size() - 2);
}

}  // namespace

std::string ResponsesStream::object(std::string_view status, const Error* error) const {
  const bool running = status == "in_progress";
  return response_object(
      response_id(id_suffix_), created_, model_, status, finish_, error,
      running ? std::nullopt : usage_, repeated_, [&](JsonWriter& w) {
        const std::string_view item_status = status == "completed" ? "completed" : "incomplete";
        for (const Item& item : items_) {
          if (item.kind == Kind::kReasoning) {
            write_reasoning_item(w, item.id, item.text);
          } else if (item.kind == Kind::kCall) {
            write_call_item(w, item.id, item_status, item.call_id, item.name, item.text);
          } else {
            begin_message_item(w, item.id, item_status);
            write_part(w, item.kind == Kind::kRefusal, item.text, nullptr);
            w.end_array().end_object();
          }
        }
      });
}

void ResponsesStream::start(const ChatChunk& chunk, std::string& out) {
  if (started_) return;
  started_ = true;
  model_ = chunk.model;
  const std::string response =
      members([&](JsonWriter& w) { w.key("response").raw(object("in_progress", nullptr)); });
  event("response.created", response, out);
  event("response.in_progress", response, out);
}

// The item that grows: the open one of that kind, or a new one after the open one is closed.
ResponsesStream::Item& ResponsesStream::item_of(Kind kind, const ToolCallDelta* call,
                                                std::string& out) {
  if (call != nullptr) {
    const auto known = std::ranges::find(items_, call->index, &Item::call);
    if (known != items_.end()) return *known;
  } else if (!items_.empty() && items_.back().open && items_.back().kind == kind) {
    return items_.back();
  }
  close(out);
  const std::size_t number = items_.size();
  static constexpr std::string_view kPrefixes[] = {"rs_", "msg_", "msg_", "fc_"};
  const std::string_view prefix = kPrefixes[static_cast<std::size_t>(kind)];
  Item& item = items_.emplace_back(
      Item{.kind = kind, .id = item_id(prefix, response_id(id_suffix_), number)});
  if (call != nullptr) {
    item.call = call->index;
    item.call_id = call->id;
    item.name = call->name;
  }
  event("response.output_item.added", members([&](JsonWriter& w) {
          w.member("output_index", number).key("item");
          if (kind == Kind::kReasoning) {
            write_reasoning_item(w, item.id, "");
          } else if (kind == Kind::kCall) {
            write_call_item(w, item.id, "in_progress", item.call_id, item.name, "");
          } else {
            begin_message_item(w, item.id, "in_progress").end_array().end_object();
          }
        }),
        out);
  if (kind == Kind::kCall) return item;
  const bool thought = kind == Kind::kReasoning;
  event(thought ? "response.reasoning_summary_part.added" : "response.content_part.added",
        members([&](JsonWriter& w) {
          w.member("item_id", item.id).member("output_index", number);
          w.member(thought ? "summary_index" : "content_index", 0).key("part");
          if (thought) {
            w.begin_object().member("type", "summary_text").member("text", "").end_object();
          } else {
            write_part(w, kind == Kind::kRefusal, "", nullptr);
          }
        }),
        out);
  return item;
}

void ResponsesStream::say(Kind kind, std::string_view piece, std::string& out) {
  if (piece.empty()) return;
  Item& item = item_of(kind, nullptr, out);
  item.text += piece;
  const bool thought = kind == Kind::kReasoning;
  event(thought                  ? "response.reasoning_summary_text.delta"
        : kind == Kind::kRefusal ? "response.refusal.delta"
                                 : "response.output_text.delta",
        members([&](JsonWriter& w) {
          w.member("item_id", item.id).member("output_index", items_.size() - 1);
          w.member(thought ? "summary_index" : "content_index", 0).member("delta", piece);
          if (kind == Kind::kText) w.key("logprobs").begin_array().end_array();
        }),
        out);
}

void ResponsesStream::call(const ToolCallDelta& delta, std::string& out) {
  constexpr int kMaxCalls = 1024;
  if (delta.index < 0 || delta.index >= kMaxCalls) return;
  Item& item = item_of(Kind::kCall, &delta, out);
  if (delta.arguments.empty()) return;
  item.text += delta.arguments;
  const auto number = static_cast<std::size_t>(&item - items_.data());
  event("response.function_call_arguments.delta", members([&](JsonWriter& w) {
          w.member("item_id", item.id).member("output_index", number);
          w.member("delta", delta.arguments);
        }),
        out);
}

void ResponsesStream::close(std::string& out) {
  if (items_.empty() || !items_.back().open) return;
  Item& item = items_.back();
  item.open = false;
  const std::size_t number = items_.size() - 1;
  const std::string_view status = status_of(finish_);
  const bool thought = item.kind == Kind::kReasoning, refusal = item.kind == Kind::kRefusal;
  if (item.kind == Kind::kCall) {
    event("response.function_call_arguments.done", members([&](JsonWriter& w) {
            w.member("item_id", item.id).member("output_index", number);
            w.member("name", item.name).member("arguments", item.text);
          }),
          out);
  } else {
    event(thought   ? "response.reasoning_summary_text.done"
          : refusal ? "response.refusal.done"
                    : "response.output_text.done",
          members([&](JsonWriter& w) {
            w.member("item_id", item.id).member("output_index", number);
            w.member(thought ? "summary_index" : "content_index", 0);
            w.member(refusal ? "refusal" : "text", item.text);
            if (!thought && !refusal) w.key("logprobs").begin_array().end_array();
          }),
          out);
    event(
        thought ? "response.reasoning_summary_part.done" : "response.content_part.done",
        members([&](JsonWriter& w) {
          w.member("item_id", item.id).member("output_index", number);
          w.member(thought ? "summary_index" : "content_index", 0).key("part");
          if (thought) {
            w.begin_object().member("type", "summary_text").member("text", item.text).end_object();
          } else {
            write_part(w, refusal, item.text, nullptr);
          }
        }),
        out);
  }
  event("response.output_item.done", members([&](JsonWriter& w) {
          w.member("output_index", number).key("item");
          if (thought) {
            write_reasoning_item(w, item.id, item.text);
          } else if (item.kind == Kind::kCall) {
            write_call_item(w, item.id, status, item.call_id, item.name, item.text);
          } else {
            begin_message_item(w, item.id, status);
            write_part(w, refusal, item.text, nullptr);
            w.end_array().end_object();
          }
        }),
        out);
}

std::string ResponsesStream::write(const ChatChunk& chunk) {
  std::string out;
  if (chunk.usage) usage_ = chunk.usage;
  start(chunk, out);
  for (const ChatChunkChoice& choice : chunk.choices) {
    if (choice.index != 0) continue;
    say(Kind::kReasoning, choice.delta.reasoning_content.value_or(""), out);
    say(Kind::kText, choice.delta.content.value_or(""), out);
    say(Kind::kRefusal, choice.delta.refusal.value_or(""), out);
    for (const ToolCallDelta& piece : choice.delta.tool_calls) call(piece, out);
    if (choice.finish_reason) finish_ = choice.finish_reason;
  }
  return out;
}

std::string ResponsesStream::finish() {
  std::string out;
  start({}, out);
  // An answer without a word is a message without a word.
  if (items_.empty()) item_of(Kind::kText, nullptr, out);
  close(out);
  const std::string_view status = status_of(finish_);
  event(status == "completed" ? "response.completed" : "response.incomplete",
        members([&](JsonWriter& w) { w.key("response").raw(object(status, nullptr)); }), out);
  return out;
}

std::string ResponsesStream::error(const Error& error) {
  std::string out;
  event("response.failed",
        members([&](JsonWriter& w) { w.key("response").raw(object("failed", &error)); }), out);
  return out;
}

}  // namespace tessera::api
