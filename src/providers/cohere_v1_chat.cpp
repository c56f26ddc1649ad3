// https://docs.cohere.com/v1/reference/chat; Bedrock serves the same form for command-r:
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-cohere-command-r-plus.html
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

using Fate = Rule::Fate;

constexpr Rule kRules[] = {
    {.field = "max_tokens"},
    {.field = "temperature", .lowest = 0, .highest = 1, .scale = 0.5},
    {.field = "top_p", .native = "p", .lowest = 0.01, .highest = 0.99},
    {.field = "top_k", .native = "k", .lowest = 0, .highest = 500, .native_passes = true},
    {.field = "stop", .native = "stop_sequences", .max_items = 5},
    {.field = "frequency_penalty", .lowest = 0, .highest = 1},
    {.field = "presence_penalty", .lowest = 0, .highest = 1},
    {.field = "seed", .lowest = 0},
    {.field = "tools", .fate = Fate::kOwn},
    {.field = "tool_choice", .fate = Fate::kOwn},
    {.field = "response_format", .fate = Fate::kOwn},
    {.field = "reasoning_effort", .fate = Fate::kDrop},
    {.field = "documents"},
};
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"preamble", "messages"},
    {"preamble_override", "messages"},
    {"chat_history", "messages"},
    {"message", "messages"},
    {"tool_results", "messages"}};
constexpr NameRule kToolNames = {.also_allowed = "", .digit_first = false};

// --- To the wire ---

std::string text_of(const api::ChatMessage& message, const std::string& path) {
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    using Kind = api::ContentPart::Kind;
    const Kind kind = message.parts[i].kind;
    if (kind == Kind::kText || kind == Kind::kRefusal || kind == Kind::kReasoning) continue;
    throw Error(ErrorKind::kUnsupportedContent,
                "Unsupported content: this model of the provider 'cohere' reads text only.",
                join_path(index_path(join_path(path, "content"), i), "type"));
  }
  return message.content.value_or("");
}

// Messages in Cohere's first form: what was said before, the last question or the last results.
class History {
 public:
  History(const api::ChatRequest& request, CohereHost host, ToolNames& names)
      : request_(request), host_(host), names_(names) {}

  void write(json::object& body) {
    const std::size_t end = request_.messages.size();
    const std::string& last = request_.messages.back().role;
    if (last != "user" && last != "tool") {
      throw Error(ErrorKind::kBadMessage,
                  "Invalid message: the last message must have the role 'user' or 'tool' for this "
                  "model of the provider 'cohere'.",
                  index_path("messages", end - 1));
    }
    // System messages count as none of the conversation, wherever they stand.
    std::size_t results = end;  // where the trailing results begin
    while (results > 0 && request_.messages[results - 1].role == "tool") --results;
    const std::size_t said = last == "tool" ? results : end - 1;
    for (std::size_t i = 0; i < end; ++i) {
      if (request_.messages[i].role == "system") add_system(i);
    }
    for (std::size_t i = 0; i < said; ++i) add(i);
    flush_results();
    body["message"] = last == "tool" ? "" : text_of(request_.messages[end - 1], path(end - 1));
    body["chat_history"] = std::move(history_);
    if (!preamble_.empty()) body["preamble"] = preamble_;
    if (last == "user") return;
    for (std::size_t i = results; i < end; ++i) add_result(i);
    body["tool_results"] = std::move(results_);
  }

 private:
  static std::string path(std::size_t i) { return index_path("messages", i); }

  void add_system(std::size_t i) {
    const std::string text = text_of(request_.messages[i], path(i));
    if (text.empty()) return;
    if (!preamble_.empty()) preamble_ += '\n';
    preamble_ += text;
  }

  void add(std::size_t i) {
    const api::ChatMessage& message = request_.messages[i];
    if (message.role == "tool") return add_result(i);
    flush_results();
    if (message.role == "user") {
      history_.push_back(json::object{{"role", "USER"}, {"message", text_of(message, path(i))}});
    } else if (message.role == "assistant") {
      add_assistant(message, i);
    }
  }

  void add_assistant(const api::ChatMessage& message, std::size_t i) {
    std::string text = text_of(message, path(i));
    // The text beside calls is their plan, which we gave out as reasoning.
    if (text.empty() && !message.tool_calls.empty()) text = message.reasoning_content;
    json::object turn{{"role", "CHATBOT"}, {"message", text}};
    if (!message.tool_calls.empty()) {
      json::array& calls = turn["tool_calls"].emplace_array();
      for (std::size_t j = 0; j < message.tool_calls.size(); ++j) {
        const api::ToolCall& call = message.tool_calls[j];
        const std::string call_path = index_path(join_path(path(i), "tool_calls"), j);
        json::object made{{"name", names_.rename(call.name)},
                          {"parameters", parse_json(arguments_object(
                                             call.arguments, call_path + ".function.arguments"))}};
        calls.push_back(made);
        made_[call.id] = std::move(made);
      }
    }
    history_.push_back(std::move(turn));
  }

  void add_result(std::size_t i) {
    const api::ChatMessage& message = request_.messages[i];
    const auto call = made_.find(message.tool_call_id);
    if (call == made_.end()) {
      throw Error(ErrorKind::kBadMessage,
                  "Invalid message: no earlier assistant message has a call with the id " +
                      quote_for_message(message.tool_call_id) + ".",
                  join_path(path(i), "tool_call_id"));
    }
    // Of two results for a call the last one counts.
    for (std::size_t j = i + 1; j < request_.messages.size(); ++j) {
      if (request_.messages[j].role != "tool") break;
      if (request_.messages[j].tool_call_id == message.tool_call_id) return;
    }
    const std::string text = text_of(message, path(i));
    json::value output = json::object{{"output", text}};
    try {
      if (json::value tree = parse_json(text); tree.is_object()) output = std::move(tree);
    } catch (const Error&) {
      // any text is a result
    }
    results_.push_back(
        json::object{{"call", call->second}, {"outputs", json::array{std::move(output)}}});
  }

  // Results that were answered already belong to the history.
  void flush_results() {
    if (results_.empty()) return;
    json::array results = std::exchange(results_, {});
    if (host_ == CohereHost::kCohere) {
      history_.push_back(json::object{{"role", "TOOL"}, {"tool_results", std::move(results)}});
      return;
    }
    // Bedrock's history knows two roles only.
    std::string text;
    for (const json::value& result : results) {
      if (!text.empty()) text += '\n';
      text += text_at(result.get_object(), "call.name") + ": " +
              tessera::to_json(result.at("outputs").at(0));
    }
    history_.push_back(json::object{{"role", "USER"}, {"message", text}});
  }

  const api::ChatRequest& request_;
  CohereHost host_;
  ToolNames& names_;
  std::string preamble_;
  json::array history_, results_;
  std::map<std::string, json::object> made_;  // calls by the client's ids
};

// Python's names of JSON Schema's types.
std::string type_name_of(const json::object& schema) {
  std::string type = text_at(schema, "type");
  for (const json::value& one : list_at(schema, "type")) {
    if (one.is_string() && one.get_string() != "null") type = std::string(one.get_string());
  }
  if (type == "integer") return "int";
  if (type == "number") return "float";
  if (type == "boolean") return "bool";
  if (type == "array") {
    const json::object& items = object_at(schema, "items");
    return items.empty() ? "List" : "List[" + type_name_of(items) + "]";
  }
  if (type == "object") return "Dict";
  return "str";
}

json::array tools_of(const api::ChatRequest& request, ToolNames& names) {
  json::array tools;
  for (const api::Tool& tool : request.tools) {
    const json::object schema = parameters_schema(tool.parameters);
    const json::array& required = list_at(schema, "required");
    json::object definitions;
    for (const auto& [name, value] : object_at(schema, "properties")) {
      const json::object& property = value.is_object() ? value.get_object() : json::object();
      json::object definition;
      if (const std::string text = text_at(property, "description"); !text.empty()) {
        definition["description"] = text;
      }
      definition["type"] = type_name_of(property);
      definition["required"] = std::ranges::find(required, json::value(name)) != required.end();
      definitions[name] = std::move(definition);
    }
    tools.push_back(
        json::object{{"name", names.rename(tool.name)},
                     {"description", tool.description.empty() ? tool.name : tool.description},
                     {"parameter_definitions", std::move(definitions)}});
  }
  return tools;
}

}  // namespace

WireRequest cohere_v1_chat(const api::ChatRequest& request, const Context& context,
                           CohereHost host) {
  const bool bedrock = host == CohereHost::kBedrock;
  const Dialect dialect{.provider = bedrock ? "amazon-bedrock/cohere" : "cohere",
                        .rules = kRules,
                        .aliases = kAliases};
  Parameters parameters(request, dialect, context);
  ToolNames names(kToolNames);
  json::object body;
  if (!bedrock) {
    body["model"] = context.model.name;
    body["stream"] = request.generation.stream;
  }
  json::array tools = tools_of(request, names);
  History(request, host, names).write(body);
  const auto mode = request.tool_choice ? request.tool_choice->mode : api::ToolChoice::Mode::kAuto;
  if (mode == api::ToolChoice::Mode::kRequired || mode == api::ToolChoice::Mode::kNamed) {
    parameters.refuse("tool_choice", "other than 'auto' and 'none'");
  }
  if (!tools.empty() && mode != api::ToolChoice::Mode::kNone) body["tools"] = std::move(tools);
  if (parameters.take("response_format")) {
    const api::ResponseFormat& format = *request.response_format;
    if (bedrock) {
      parameters.refuse("response_format");
    } else {
      json::object& out = body["response_format"].emplace_object();
      out["type"] = "json_object";
      if (format.kind == api::ResponseFormat::Kind::kJsonSchema) {
        out["schema"] = parameters_schema(format.schema);
      }
    }
  }
  parameters.write(body);

  WireRequest wire{.path = "/v1/chat",
                   .body = tessera::to_json(body),
                   .framing = Framing::kNdjson,
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.tool_names = names.back();
  wire.memo.input_characters = input_characters(request);
  wire.memo.notes["api"] = "v1";
  return wire;
}

// --- From the wire ---

namespace {

std::string arguments_of(const json::object& call) {
  const json::object& parameters = object_at(call, "parameters");
  return parameters.empty() ? "{}" : tessera::to_json(parameters);
}

std::optional<api::Usage> usage_of_answer(const json::object& answer) {
  std::optional<api::Usage> usage = cohere_usage(object_at(answer, "meta"));
  return usage ? usage : cohere_usage(answer);
}

std::string id_of(const json::object& answer) {
  return or_else(id_at(answer, "generation_id"), id_at(answer, "response_id"));
}

}  // namespace

api::ChatResponse cohere_v1_chat_answer(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer("cohere", wire.body);
  if (!root.contains("text") && !root.contains("tool_calls")) {
    throw bad_response("cohere", "it has neither text nor calls.");
  }
  api::ChatResponse answer{.id = or_else(id_of(root), make_id("chatcmpl-", memo)),
                           .created = memo.now_s,
                           .model = memo.model};
  api::ChatChoice& choice = answer.choices.emplace_back();
  for (const json::value& call : list_at(root, "tool_calls")) {
    if (!call.is_object()) continue;
    choice.message.tool_calls.push_back(
        {.id = synthesised_call_id(memo.seed, choice.message.tool_calls.size()),
         .name = client_name(memo, text_at(call.get_object(), "name")),
         .arguments = arguments_of(call.get_object())});
  }
  const bool has_calls = !choice.message.tool_calls.empty();
  // Beside calls it is their plan, as the stream says outright.
  if (has_calls) {
    choice.reasoning_content = text_at(root, "text");
  } else {
    choice.message.content = text_at(root, "text");
  }
  choice.finish_reason =
      with_calls(cohere_finish_reason(text_at(root, "finish_reason")), has_calls);
  if (const json::array& citations = list_at(root, "citations"); !citations.empty()) {
    choice.message.extra.emplace_back("citations", tessera::to_json(citations));
  }
  answer.usage = usage_of_answer(root);
  if (!answer.usage) answer.usage = usage_of_invocation(wire);
  return answer;
}

// --- Streams: one object per line (Bedrock: per frame) ---

namespace {

class Decoder final : public ChatDecoder {
 public:
  explicit Decoder(const Memo& memo) : memo_(memo), chunks_(memo) {}

  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    if (finished_) return {};
    const json::object root = read_answer("cohere", event.data);
    const std::string type = text_at(root, "event_type");
    if (type == "stream-start") {
      chunks_.set_id(id_of(root));
      chunks_.start();
    } else if (type == "text-generation") {
      chunks_.text(text_at(root, "text"));
    } else if (type == "tool-calls-chunk") {
      add_call_piece(root);
    } else if (type == "tool-calls-generation") {
      add_whole_calls(list_at(root, "tool_calls"));
    } else if (type == "stream-end") {
      end(root);
    } else if (type == "stream-error" || (type.empty() && root.contains("message"))) {
      const std::string message = or_else(text_at(root, "err"), text_at(root, "message"));
      throw to_error({.provider = "cohere", .message = message, .meaning = 500},
                     {.status = 0, .body = std::string(event.data)});
    }
    return chunks_.take();
  }

  bool finished() const override { return finished_; }

 private:
  struct Call {
    int index = -1;
    bool has_arguments = false;
  };

  // The event's own `text` repeats the delta's.
  void add_call_piece(const json::object& root) {
    const json::object& piece = object_at(root, "tool_call_delta");
    chunks_.reasoning(text_at(piece, "text"));
    const std::string name = text_at(piece, "name"), parameters = text_at(piece, "parameters");
    if (name.empty() && parameters.empty()) return;
    Call& call = calls_[count_at(piece, "index").value_or(0)];
    if (!name.empty() && call.index < 0) begin(call, name);
    if (call.index < 0 || parameters.empty()) return;
    call.has_arguments = true;
    chunks_.arguments(call.index, parameters);
  }

  void begin(Call& call, std::string_view name) {
    const auto order = static_cast<std::size_t>(chunks_.calls());
    call.index =
        chunks_.begin_call(synthesised_call_id(memo_.seed, order), client_name(memo_, name));
  }

  // The whole list: what the pieces have told already is not said again.
  void add_whole_calls(const json::array& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (!list[i].is_object()) continue;
      const json::object& given = list[i].get_object();
      Call& call = calls_[static_cast<std::int64_t>(i)];
      if (call.index < 0) begin(call, text_at(given, "name"));
      if (call.has_arguments) continue;
      call.has_arguments = true;
      chunks_.arguments(call.index, arguments_of(given));
    }
  }

  // `response` repeats everything.
  void end(const json::object& root) {
    const json::object& response = object_at(root, "response");
    const api::FinishReason reason = cohere_finish_reason(
        or_else(text_at(root, "finish_reason"), text_at(response, "finish_reason")),
        text_at(root, "error"));
    add_whole_calls(list_at(response, "tool_calls"));
    for (auto& [order, call] : calls_) {
      if (call.index >= 0 && !call.has_arguments) chunks_.arguments(call.index, "{}");
    }
    chunks_.finish(reason);
    std::optional<api::Usage> usage = usage_of_answer(response);
    if (!usage) usage = usage_of_invocation(root);
    if (usage) chunks_.usage(*usage);
    finished_ = true;
  }

  const Memo memo_;
  ChatChunkWriter chunks_;
  std::map<std::int64_t, Call> calls_;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<ChatDecoder> cohere_v1_chat_stream(const Memo& memo) {
  return std::make_unique<Decoder>(memo);
}

}  // namespace tessera::providers
