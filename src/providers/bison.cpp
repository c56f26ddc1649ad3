// PaLM's models on Vertex AI (legacy, shut down in 2025):
// https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text
#include <algorithm>

#include "base/strings.h"
#include "providers/chunk_writer.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"
#include "providers/vertex.h"

namespace tessera::providers {
namespace {

using api::FinishReason;

constexpr Rule kRules[] = {
    {.field = "max_tokens", .native = "parameters.maxOutputTokens"},
    {.field = "temperature",
     .native = "parameters.temperature",
     .lowest = 0,
     .highest = 1,
     .scale = 0.5},
    {.field = "top_p", .native = "parameters.topP", .lowest = 0, .highest = 1},
    {.field = "top_k", .native = "parameters.topK", .lowest = 1, .highest = 40},
    {.field = "n", .native = "parameters.candidateCount", .lowest = 1, .highest = 8},
    {.field = "stop", .native = "parameters.stopSequences", .max_items = 5},
    {.field = "presence_penalty",
     .native = "parameters.presencePenalty",
     .lowest = -2,
     .highest = 2},
    {.field = "frequency_penalty",
     .native = "parameters.frequencyPenalty",
     .lowest = -2,
     .highest = 2},
    {.field = "seed", .native = "parameters.seed"},
};
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"instances", "prompt"},
    {"parameters.logitBias", "logit_bias"},
    {"parameters.logprobs", "logprobs"},
    {"parameters.echo", "echo"},
};
constexpr Dialect kDialect = {
    .provider = kVertexName, .rules = kRules, .aliases = kAliases, .extras = "parameters"};

// The typed tensors of serverStreamingPredict: whole numbers and others are told apart.
json::object tensor(const json::value& value) {
  switch (value.kind()) {
    case json::kind::string:
      return {{"string_val", json::array{value}}};
    case json::kind::bool_:
      return {{"bool_val", json::array{value}}};
    case json::kind::int64:
    case json::kind::uint64:
      return {{"int_val", json::array{value}}};
    case json::kind::double_:
      return {{"float_val", json::array{value}}};
    case json::kind::array: {
      const json::array& list = value.get_array();
      const bool texts =
          std::ranges::all_of(list, [](const json::value& v) { return v.is_string(); });
      if (texts) return {{"string_val", list}};
      json::array inner;
      for (const json::value& one : list) inner.push_back(tensor(one));
      return {{"list_val", std::move(inner)}};
    }
    case json::kind::object: {
      json::object fields;
      for (const auto& [name, content] : value.get_object()) fields[name] = tensor(content);
      return {{"struct_val", std::move(fields)}};
    }
    case json::kind::null:
      break;
  }
  return {};
}

std::optional<api::Usage> usage_of_prediction(const json::object& root) {
  const json::object& counts = object_at(root, "metadata.tokenMetadata");
  const auto input = count_at(counts, "inputTokenCount.totalTokens");
  const auto output = count_at(counts, "outputTokenCount.totalTokens");
  if (!input && !output) return std::nullopt;
  return usage_of(input.value_or(0), output.value_or(0));
}

// There is no finish reason: an answer as long as it may be was cut.
FinishReason finish_of(bool blocked, const Memo& memo, std::int64_t output_tokens) {
  if (blocked) return FinishReason::kContentFilter;
  const auto note = memo.notes.find("max_tokens");
  const auto limit = note == memo.notes.end() ? std::nullopt : parse_int(note->second);
  return limit && output_tokens >= *limit ? FinishReason::kLength : FinishReason::kStop;
}

Memo memo_with_limit(const Context& context, const api::GenerationFields& fields) {
  Memo memo = memo_of(context);
  if (fields.max_tokens) memo.notes["max_tokens"] = std::to_string(*fields.max_tokens);
  return memo;
}

}  // namespace

// --- Completions ---

WireRequest bison_completion(const api::CompletionRequest& request, const Context& context) {
  Parameters parameters(request, kDialect, context);
  json::object instance{{"prompt", only_prompt(request, kVertexName)}};
  json::object body{{"instances", json::array{instance}}};
  parameters.write(body);
  const bool stream = request.generation.stream;
  WireRequest wire{
      .path = vertex_path(context.model, stream ? "serverStreamingPredict?alt=sse" : "predict"),
      .dropped = parameters.dropped(),
      .memo = memo_with_limit(context, request.generation)};
  if (stream) {
    json::object typed{{"inputs", json::array{tensor(instance)}}};
    if (const json::value* given = body.if_contains("parameters")) {
      typed["parameters"] = tensor(*given);
    }
    body = std::move(typed);
  }
  wire.body = tessera::to_json(body);
  wire.memo.input_characters = input_characters(request);
  wire.memo.notes["api"] = "bison";
  return wire;
}

api::CompletionResponse bison_completion_answer(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kVertexName, wire.body);
  const json::array& predictions = list_at(root, "predictions");
  if (predictions.empty()) throw bad_response(kVertexName, "it has no predictions.");
  api::CompletionResponse answer{
      .id = make_id("cmpl-", memo), .created = memo.now_s, .model = memo.model};
  answer.usage = usage_of_prediction(root);
  const std::int64_t output =
      predictions.size() == 1 && answer.usage ? answer.usage->completion_tokens.value_or(0) : 0;
  for (const json::value& entry : predictions) {
    if (!entry.is_object()) throw bad_response(kVertexName, "a prediction is no object.");
    const json::object& prediction = entry.get_object();
    const bool blocked = flag_at(prediction, "safetyAttributes.blocked");
    api::CompletionChoice& choice = answer.choices.emplace_back();
    choice.index = static_cast<int>(answer.choices.size()) - 1;
    if (!blocked) choice.text = text_at(prediction, "content");
    choice.finish_reason = finish_of(blocked, memo, output);
  }
  return answer;
}

namespace {

// {"outputs": [{"structVal": {"content": {"stringVal": ["…"]}, "safetyAttributes": …}}]}; no end
// but the stream's, no usage.
class Decoder final : public CompletionDecoder {
 public:
  explicit Decoder(const Memo& memo) : chunks_(memo) {}

  std::vector<api::CompletionResponse> feed(const WireEvent& event) override {
    const json::object root = read_answer(kVertexName, event.data);
    if (root.contains("error")) {
      throw google_error(kVertexName, {.status = 0, .body = std::string(event.data)});
    }
    const json::array& outputs = list_at(root, "outputs");
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].is_object()) continue;
      any_ = true;
      const json::object& output = outputs[i].get_object();
      const auto index = static_cast<int>(i);
      const json::array& blocked =
          list_at(output, "structVal.safetyAttributes.structVal.blocked.boolVal");
      if (!blocked.empty() && blocked[0] == json::value(true)) {
        chunks_.finish(FinishReason::kContentFilter, index);
        continue;
      }
      for (const json::value& text : list_at(output, "structVal.content.stringVal")) {
        if (text.is_string() && !chunks_.has_finished(index)) {
          chunks_.text(text.get_string(), index);
        }
      }
      choices_ = std::max(choices_, index + 1);
    }
    return chunks_.take();
  }

  std::vector<api::CompletionResponse> finish() override {
    if (finished_) return {};
    if (!any_) return CompletionDecoder::finish();  // throws
    for (int i = 0; i < choices_; ++i) chunks_.finish(FinishReason::kStop, i);
    finished_ = true;
    return chunks_.take();
  }

  bool finished() const override { return finished_; }

 private:
  CompletionChunkWriter chunks_;
  int choices_ = 0;
  bool any_ = false, finished_ = false;
};

}  // namespace

std::unique_ptr<CompletionDecoder> bison_completion_stream(const Memo& memo) {
  return std::make_unique<Decoder>(memo);
}

// --- Chat ---

json::object palm_conversation(const api::ChatRequest& request, std::string_view provider) {
  std::string context;
  json::array messages;
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    const api::ChatMessage& message = request.messages[i];
    const std::string path = index_path("messages", i);
    for (const api::ContentPart& part : message.parts) {
      if (part.kind == api::ContentPart::Kind::kText) continue;
      throw Error(ErrorKind::kUnsupportedContent,
                  "Unsupported content: this model of the provider '" + std::string(provider) +
                      "' reads text only.",
                  join_path(path, "content"));
    }
    const std::string& text = message.content.value_or("");
    if (message.role == "system") {
      if (!context.empty() && !text.empty()) context += '\n';
      context += text;
      continue;
    }
    const bool users_turn = messages.size() % 2 == 0;
    if (message.role == "tool" || !message.tool_calls.empty() ||
        (message.role == "user") != users_turn) {
      throw Error(ErrorKind::kBadMessage,
                  "Invalid message: for this model of the provider '" + std::string(provider) +
                      "' messages of 'user' and 'assistant' must take turns, without tools.",
                  join_path(path, "role"));
    }
    messages.push_back(
        json::object{{"author", message.role == "user" ? "user" : "bot"}, {"content", text}});
  }
  if (messages.size() % 2 == 0) {
    throw Error(ErrorKind::kBadMessage,
                "Invalid message: the last message must be the user's for this model of the "
                "provider '" +
                    std::string(provider) + "'.",
                "messages");
  }
  json::object conversation;
  if (!context.empty()) conversation["context"] = context;
  conversation["messages"] = std::move(messages);
  return conversation;
}

WireRequest bison_chat(const api::ChatRequest& request, const Context& context) {
  Parameters parameters(request, kDialect, context);
  json::object body{{"instances", json::array{palm_conversation(request, kVertexName)}}};
  parameters.write(body);
  WireRequest wire{.path = vertex_path(context.model, "predict"),
                   .body = tessera::to_json(body),
                   .emulated_stream = request.generation.stream,
                   .dropped = parameters.dropped(),
                   .memo = memo_with_limit(context, request.generation)};
  wire.memo.input_characters = input_characters(request);
  wire.memo.notes["api"] = "bison";
  return wire;
}

api::ChatResponse bison_chat_answer(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kVertexName, wire.body);
  const json::array& predictions = list_at(root, "predictions");
  if (predictions.empty() || !predictions[0].is_object()) {
    throw bad_response(kVertexName, "it has no predictions.");
  }
  const json::object& prediction = predictions[0].get_object();
  const json::array& candidates = list_at(prediction, "candidates");
  if (candidates.empty()) throw bad_response(kVertexName, "it has no candidates.");
  const json::array& safety = list_at(prediction, "safetyAttributes");
  api::ChatResponse answer{
      .id = make_id("chatcmpl-", memo), .created = memo.now_s, .model = memo.model};
  answer.usage = usage_of_prediction(root);
  const std::int64_t output =
      candidates.size() == 1 && answer.usage ? answer.usage->completion_tokens.value_or(0) : 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].is_object()) throw bad_response(kVertexName, "a candidate is no object.");
    const bool blocked =
        i < safety.size() && safety[i].is_object() && flag_at(safety[i].get_object(), "blocked");
    api::ChatChoice& choice = answer.choices.emplace_back();
    choice.index = static_cast<int>(i);
    choice.message.content = blocked ? "" : text_at(candidates[i].get_object(), "content");
    choice.finish_reason = finish_of(blocked, memo, output);
  }
  return answer;
}

}  // namespace tessera::providers
