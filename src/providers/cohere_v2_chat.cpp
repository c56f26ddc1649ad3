// https://docs.cohere.com/reference/chat and /reference/chat-stream
#include <algorithm>
#include <map>

#include "base/strings.h"
#include "providers/chunk_writer.h"
#include "providers/cohere.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"
#include "providers/schema.h"
#include "providers/tool_names.h"
#include "providers/turns.h"

namespace tessera::providers {
namespace {

using api::ContentPart;
using Fate = Rule::Fate;

constexpr std::string_view kProvider = "cohere";

constexpr Rule kRules[] = {
    {.field = "max_tokens"},
    // Above 1 the provider's published schema ends.
    {.field = "temperature", .lowest = 0, .highest = 1, .scale = 0.5},
    {.field = "top_p", .native = "p", .lowest = 0.01, .highest = 0.99},
    {.field = "top_k", .native = "k", .lowest = 0, .highest = 500, .native_passes = true},
    {.field = "stop", .native = "stop_sequences", .max_items = 5},
    {.field = "frequency_penalty", .lowest = 0, .highest = 1},
    {.field = "presence_penalty", .lowest = 0, .highest = 1},
    {.field = "seed", .lowest = 0},
    {.field = "logprobs"},
    {.field = "tools", .fate = Fate::kOwn},
    {.field = "tool_choice", .fate = Fate::kOwn},
    {.field = "response_format", .fate = Fate::kOwn},
    {.field = "reasoning_effort", .fate = Fate::kOwn},
    {.field = "thinking", .fate = Fate::kOwn},
    {.field = "documents"},
    {.field = "priority"},
};
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {{"preamble", "messages"},
                                                                      {"chat_history", "messages"},
                                                                      {"message", "messages"},
                                                                      {"strict_tools", "tools"}};
constexpr Dialect kDialect = {.provider = kProvider, .rules = kRules, .aliases = kAliases};
constexpr NameRule kToolNames = {.also_allowed = "", .digit_first = false};

// --- To the wire ---

json::object image_part(const ContentPart& part, const Context& context, const std::string& path) {
  std::string url = part.url;
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    const DataUri image = read_image_uri(url, path);
    url = "data:" + image.media_type + ";base64," + image.data;
  } else if (!may_send_urls(context.model, true)) {
    throw Error(ErrorKind::kUnsupportedContent,
                "Unsupported content: this endpoint takes images as data: URIs only.", path);
  }
  json::object image{{"url", url}};
  if (!part.detail.empty()) image["detail"] = part.detail;
  return {{"type", "image_url"}, {"image_url", std::move(image)}};
}

// A string where there is nothing but text.
json::value user_content(const api::ChatMessage& message, const Context& context,
                         const std::string& path) {
  const bool only_text = std::ranges::all_of(
      message.parts, [](const ContentPart& p) { return p.kind == ContentPart::Kind::kText; });
  if (only_text) return json::value(message.content.value_or(""));
  json::array parts;
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    const ContentPart& part = message.parts[i];
    const std::string part_path = index_path(join_path(path, "content"), i);
    if (part.kind == ContentPart::Kind::kText) {
      parts.push_back(json::object{{"type", "text"}, {"text", part.text}});
    } else if (part.kind == ContentPart::Kind::kImage) {
      parts.push_back(image_part(part, context, part_path + ".image_url.url"));
    } else {
      throw Error(ErrorKind::kUnsupportedContent,
                  "Unsupported content: a message for the provider 'cohere' has text and images "
                  "only.",
                  join_path(part_path, "type"));
    }
  }
  return parts;
}

json::object assistant_message(const api::ChatMessage& message, const std::string& path,
                               ToolNames& names) {
  json::object out{{"role", "assistant"}};
  const std::string& text = message.content.value_or("");
  const std::string& thought = message.reasoning_content;
  if (!message.tool_calls.empty() && !thought.empty()) out["tool_plan"] = thought;
  if (message.tool_calls.empty() && !thought.empty()) {
    json::array& parts = out["content"].emplace_array();
    parts.push_back(json::object{{"type", "thinking"}, {"thinking", thought}});
    if (!text.empty()) parts.push_back(json::object{{"type", "text"}, {"text", text}});
  } else if (!text.empty() || message.tool_calls.empty()) {
    out["content"] = text;
  }
  if (message.tool_calls.empty()) return out;
  json::array& calls = out["tool_calls"].emplace_array();
  for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
    const api::ToolCall& call = message.tool_calls[i];
    const std::string call_path = index_path(join_path(path, "tool_calls"), i);
    calls.push_back(json::object{
        {"id", call.id},
        {"type", "function"},
        {"function",
         {{"name", names.rename(call.name)},
          {"arguments", arguments_object(call.arguments, call_path + ".function.arguments")}}}});
  }
  return out;
}

// Results are text; images in them cannot be said.
std::string text_of(const api::ChatMessage& message, const std::string& path) {
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    if (message.parts[i].kind == ContentPart::Kind::kText) continue;
    throw Error(ErrorKind::kUnsupportedContent,
                "Unsupported content: the result of a call is text for the provider 'cohere'.",
                join_path(index_path(join_path(path, "content"), i), "type"));
  }
  return message.content.value_or("");
}

// Of two results for a call the last one counts.
bool is_answered_again(const api::ChatRequest& request, std::size_t i) {
  const std::string& id = request.messages[i].tool_call_id;
  for (std::size_t j = i + 1; j < request.messages.size(); ++j) {
    if (request.messages[j].role != "tool") return false;
    if (request.messages[j].tool_call_id == id) return true;
  }
  return false;
}

json::array messages_of(const api::ChatRequest& request, const Context& context, ToolNames& names) {
  json::array messages;
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    const api::ChatMessage& message = request.messages[i];
    const std::string path = index_path("messages", i);
    if (message.role == "assistant") {
      messages.push_back(assistant_message(message, path, names));
    } else if (message.role == "tool") {
      if (is_answered_again(request, i)) continue;
      messages.push_back(json::object{{"role", "tool"},
                                      {"tool_call_id", message.tool_call_id},
                                      {"content", text_of(message, path)}});
    } else {
      messages.push_back(
          json::object{{"role", message.role}, {"content", user_content(message, context, path)}});
    }
  }
  return messages;
}

void write_tools(json::object& body, const api::ChatRequest& request, Parameters& parameters,
                 ToolNames& names) {
  const auto mode = request.tool_choice ? request.tool_choice->mode : api::ToolChoice::Mode::kAuto;
  const bool named = mode == api::ToolChoice::Mode::kNamed;
  json::array tools;
  bool all_strict = true;
  for (const api::Tool& tool : request.tools) {
    // Cohere cannot ask for one tool among several: it is the only one shown then.
    if (named && tool.name != request.tool_choice->name) {
      parameters.drop("tools");
      continue;
    }
    json::object function{{"name", names.rename(tool.name)}};
    if (!tool.description.empty()) function["description"] = tool.description;
    function["parameters"] = parameters_schema(tool.parameters);
    all_strict &= tool.strict.value_or(false);
    tools.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
  }
  if (tools.empty()) return;
  body["tools"] = std::move(tools);
  if (all_strict) body["strict_tools"] = true;
  if (named || mode == api::ToolChoice::Mode::kRequired) body["tool_choice"] = "REQUIRED";
  if (mode == api::ToolChoice::Mode::kNone) body["tool_choice"] = "NONE";
}

void write_thinking(json::object& body, const api::ChatRequest& request) {
  if (!request.thinking.empty()) {
    json::object thinking = parse_json_object(request.thinking);
    json::object out;
    // The form that most clients know, by its Cohere name.
    for (auto& [key, value] : thinking) {
      out[key == "budget_tokens" ? "token_budget" : key] = std::move(value);
    }
    body["thinking"] = std::move(out);
  } else if (!request.reasoning_effort.empty()) {
    const bool on = request.reasoning_effort != "none";
    body["thinking"] = json::object{{"type", on ? "enabled" : "disabled"}};
  }
}

void write_response_format(json::object& body, const api::ChatRequest& request) {
  if (!request.response_format) return;
  const api::ResponseFormat& format = *request.response_format;
  if (format.kind == api::ResponseFormat::Kind::kText) return;
  json::object out{{"type", "json_object"}};
  if (format.kind == api::ResponseFormat::Kind::kJsonSchema) {
    out["json_schema"] = parameters_schema(format.schema);
  }
  body["response_format"] = std::move(out);
}

}  // namespace

WireRequest cohere_v2_chat(const api::ChatRequest& request, const Context& context) {
  Parameters parameters(request, kDialect, context);
  ToolNames names(kToolNames);
  const bool stream = request.generation.stream;
  json::object body{{"model", context.model.name}, {"stream", stream}};
  // Tools first, so that theirs are the names that stay.
  json::object tools;
  write_tools(tools, request, parameters, names);
  body["messages"] = messages_of(request, context, names);
  for (auto& [key, value] : tools) body[key] = std::move(value);
  write_response_format(body, request);
  write_thinking(body, request);
  parameters.write(body);

  WireRequest wire{.path = "/v2/chat",
                   .body = tessera::to_json(body),
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  if (stream) wire.headers.emplace_back("accept", "text/event-stream");
  wire.memo.tool_names = names.back();
  wire.memo.input_characters = input_characters(request);
  wire.memo.notes["api"] = "v2";
  return wire;
}

// --- From the wire ---

namespace {

// {text, token_ids, logprobs}: an entry of several tokens has one text, and the sum is its
// probability.
void add_logprob(const json::value& entry, api::ChatLogprobs& out) {
  const json::object* object = entry.if_object();
  if (object == nullptr) return;
  double sum = 0;
  for (const json::value& one : list_at(*object, "logprobs")) {
    if (one.is_number()) sum += one.to_number<double>();
  }
  api::ChatTokenLogprob& score = out.content.emplace_back();
  score.token = utf8_sanitize(text_at(*object, "text"));
  score.bytes = text_at(*object, "text");
  score.logprob = static_cast<float>(sum);
}

api::ChatLogprobs logprobs_of(const json::object& holder) {
  api::ChatLogprobs out;
  const json::value* found = value_at(holder, "logprobs");
  if (found == nullptr) return out;
  if (!found->is_array()) {
    add_logprob(*found, out);
    return out;
  }
  for (const json::value& entry : found->get_array()) add_logprob(entry, out);
  return out;
}

std::string arguments_or_empty_object(std::string text) { return trim(text).empty() ? "{}" : text; }

}  // namespace

api::ChatResponse cohere_v2_chat_answer(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kProvider, wire.body);
  const json::object& message = object_at(root, "message");
  if (message.empty()) throw bad_response(kProvider, "it has no message.");
  api::ChatResponse answer{.id = or_else(id_at(root, "id"), make_id("chatcmpl-", memo)),
                           .created = memo.now_s,
                           .model = memo.model};
  api::ChatChoice& choice = answer.choices.emplace_back();
  std::string text;
  choice.reasoning_content = text_at(message, "tool_plan");
  for (const json::value& part : list_at(message, "content")) {
    if (!part.is_object()) continue;
    text += text_at(part.get_object(), "text");
    choice.reasoning_content += text_at(part.get_object(), "thinking");
  }
  text += text_at(message, "content");  // a plain string in older answers
  for (const json::value& entry : list_at(message, "tool_calls")) {
    if (!entry.is_object()) continue;
    const json::object& call = entry.get_object();
    choice.message.tool_calls.push_back(
        {.id = or_else(id_at(call, "id"),
                       synthesised_call_id(memo.seed, choice.message.tool_calls.size())),
         .name = client_name(memo, text_at(call, "function.name")),
         .arguments = arguments_or_empty_object(text_at(call, "function.arguments"))});
  }
  const bool has_calls = !choice.message.tool_calls.empty();
  if (!text.empty() || !has_calls) choice.message.content = std::move(text);
  choice.finish_reason =
      with_calls(cohere_finish_reason(text_at(root, "finish_reason")), has_calls);
  if (const json::array& citations = list_at(message, "citations"); !citations.empty()) {
    choice.message.extra.emplace_back("citations", tessera::to_json(citations));
  }
  if (api::ChatLogprobs logprobs = logprobs_of(root); !logprobs.content.empty()) {
    choice.logprobs = std::move(logprobs);
  }
  answer.usage = cohere_usage(object_at(root, "usage"));
  return answer;
}

// --- Streams ---

namespace {

class Decoder final : public ChatDecoder {
 public:
  explicit Decoder(const Memo& memo) : memo_(memo), chunks_(memo) {}

  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    if (finished_ || event.data.starts_with("[DONE]")) return {};
    const json::object root = read_answer(kProvider, event.data);
    const std::string type = or_else(text_at(root, "type"), event.name);
    if (type == "message-start") {
      chunks_.set_id(id_at(root, "id"));
      chunks_.start();
    } else if (type == "content-start" || type == "content-delta") {
      chunks_.reasoning(text_at(root, "delta.message.content.thinking"));
      chunks_.text(text_at(root, "delta.message.content.text"));
      chunks_.logprobs(logprobs_of(root));
    } else if (type == "tool-plan-delta") {
      chunks_.reasoning(text_at(root, "delta.message.tool_plan"));
    } else if (type == "tool-call-start") {
      begin_call(root);
    } else if (type == "tool-call-delta") {
      Call& call = calls_[count_at(root, "index").value_or(0)];
      add_arguments(call, text_at(root, "delta.message.tool_calls.function.arguments"));
    } else if (type == "tool-call-end") {
      end_call(calls_[count_at(root, "index").value_or(0)]);
    } else if (type == "message-end") {
      end(root);
    } else if (type.empty() && !text_at(root, "message").empty()) {
      throw to_error({.provider = kProvider, .message = text_at(root, "message"), .meaning = 500},
                     {.status = 0, .body = std::string(event.data)});
    }
    return chunks_.take();
  }

  bool finished() const override { return finished_; }

 private:
  struct Call {
    int index = -1;
    bool has_arguments = false, ended = false;
  };

  void begin_call(const json::object& root) {
    const json::object& given = object_at(root, "delta.message.tool_calls");
    Call& call = calls_[count_at(root, "index").value_or(0)];
    const auto order = static_cast<std::size_t>(chunks_.calls());
    call = {.index = chunks_.begin_call(
                or_else(id_at(given, "id"), synthesised_call_id(memo_.seed, order)),
                client_name(memo_, text_at(given, "function.name")))};
    add_arguments(call, text_at(given, "function.arguments"));
  }

  void add_arguments(Call& call, const std::string& text) {
    if (call.index < 0 || text.empty()) return;
    call.has_arguments = true;
    chunks_.arguments(call.index, text);
  }

  void end_call(Call& call) {
    if (call.index < 0 || call.ended) return;
    if (!call.has_arguments) chunks_.arguments(call.index, "{}");
    call.ended = true;
  }

  void end(const json::object& root) {
    const std::string error = text_at(root, "delta.error");
    const std::string reason = error.empty() ? text_at(root, "delta.finish_reason") : "ERROR";
    const api::FinishReason finish = cohere_finish_reason(reason, error);
    for (auto& [index, call] : calls_) end_call(call);
    chunks_.finish(finish);
    if (const auto usage = cohere_usage(object_at(root, "delta.usage"))) chunks_.usage(*usage);
    finished_ = true;
  }

  const Memo memo_;
  ChatChunkWriter chunks_;
  std::map<std::int64_t, Call> calls_;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<ChatDecoder> cohere_v2_chat_stream(const Memo& memo) {
  return std::make_unique<Decoder>(memo);
}

}  // namespace tessera::providers
