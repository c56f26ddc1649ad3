// The PaLM API (legacy, shut down): https://ai.google.dev/palm_docs; nothing of it streams.
#include "base/strings.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"
#include "providers/vertex.h"

namespace tessera::providers {
namespace {

using api::FinishReason;

constexpr std::string_view kProvider = "palm";

constexpr Rule kTextRules[] = {
    {.field = "max_tokens", .native = "maxOutputTokens"},
    {.field = "temperature", .lowest = 0, .highest = 1, .scale = 0.5},
    {.field = "top_p", .native = "topP", .lowest = 0, .highest = 1},
    {.field = "top_k", .native = "topK", .lowest = 1},
    {.field = "n", .native = "candidateCount", .lowest = 1, .highest = 8},
    {.field = "stop", .native = "stopSequences", .max_items = 5},
};
// Messages have neither a length nor stop texts.
constexpr Rule kMessageRules[] = {
    {.field = "temperature", .lowest = 0, .highest = 1, .scale = 0.5},
    {.field = "top_p", .native = "topP", .lowest = 0, .highest = 1},
    {.field = "top_k", .native = "topK", .lowest = 1},
    {.field = "n", .native = "candidateCount", .lowest = 1, .highest = 8},
};
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"maxOutputTokens", "max_tokens"}, {"stopSequences", "stop"}};

std::string path_of(const catalog::ExternalModel& model, std::string_view method) {
  std::string_view name = model.name;
  if (name.starts_with("models/")) name.remove_prefix(7);
  return "/v1beta3/models/" + url_encode(name) + ":" + std::string(method);
}

template <class Request>
WireRequest wire_of(const Request& request, const Context& context, std::string_view method,
                    json::object body, const Dialect& dialect) {
  Parameters parameters(request, dialect, context);
  parameters.write(body);
  WireRequest wire{.path = path_of(context.model, method),
                   .body = tessera::to_json(body),
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  return wire;
}

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  static constexpr Dialect kDialect = {
      .provider = kProvider, .rules = kTextRules, .aliases = kAliases};
  json::object body{{"prompt", {{"text", only_prompt(request, kProvider)}}}};
  WireRequest wire = wire_of(request, context, "generateText", std::move(body), kDialect);
  wire.emulated_stream = request.generation.stream;
  return wire;
}

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  static constexpr Dialect kDialect = {
      .provider = kProvider, .rules = kMessageRules, .aliases = kAliases};
  json::object body{{"prompt", palm_conversation(request, kProvider)}};
  WireRequest wire = wire_of(request, context, "generateMessage", std::move(body), kDialect);
  wire.emulated_stream = request.generation.stream;
  return wire;
}

WireRequest embeddings_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  static constexpr Dialect kDialect = {.provider = kProvider};
  json::object body;
  json::array& texts = body["texts"].emplace_array();
  for (const std::string& text : texts_of(request, kProvider)) texts.emplace_back(text);
  return wire_of(request, context, "batchEmbedText", std::move(body), kDialect);
}

// Candidates, or what kept them back: {"filters": [{"reason": "SAFETY"}]}.
json::object read_candidates(const WireResponse& wire) {
  json::object root = read_answer(kProvider, wire.body);
  if (list_at(root, "candidates").empty() && list_at(root, "filters").empty()) {
    throw bad_response(kProvider, "it has no candidates.");
  }
  return root;
}

api::CompletionResponse completions_from_wire(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_candidates(wire);
  api::CompletionResponse answer{
      .id = make_id("cmpl-", memo), .created = memo.now_s, .model = memo.model};
  for (const json::value& candidate : list_at(root, "candidates")) {
    if (!candidate.is_object()) throw bad_response(kProvider, "a candidate is no object.");
    api::CompletionChoice& choice = answer.choices.emplace_back();
    choice.index = static_cast<int>(answer.choices.size()) - 1;
    choice.text = text_at(candidate.get_object(), "output");
    choice.finish_reason = FinishReason::kStop;
  }
  if (answer.choices.empty()) {
    answer.choices.emplace_back().finish_reason = FinishReason::kContentFilter;
  }
  return answer;
}

api::ChatResponse chat_from_wire(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_candidates(wire);
  api::ChatResponse answer{
      .id = make_id("chatcmpl-", memo), .created = memo.now_s, .model = memo.model};
  for (const json::value& candidate : list_at(root, "candidates")) {
    if (!candidate.is_object()) throw bad_response(kProvider, "a candidate is no object.");
    api::ChatChoice& choice = answer.choices.emplace_back();
    choice.index = static_cast<int>(answer.choices.size()) - 1;
    choice.message.content = text_at(candidate.get_object(), "content");
    choice.finish_reason = FinishReason::kStop;
  }
  if (answer.choices.empty()) {
    api::ChatChoice& choice = answer.choices.emplace_back();
    choice.message.content = "";
    choice.finish_reason = FinishReason::kContentFilter;
  }
  return answer;
}

api::EmbeddingResponse embeddings_from_wire(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kProvider, wire.body);
  api::EmbeddingResponse answer{.id = make_id("embd-", memo), .model = memo.model};
  for (const json::value& entry : list_at(root, "embeddings")) {
    if (!entry.is_object()) throw bad_response(kProvider, "an embedding is no object.");
    std::vector<float>& numbers = answer.data.emplace_back();
    for (const json::value& number : list_at(entry.get_object(), "value")) {
      if (!number.is_number()) throw bad_response(kProvider, "an embedding is not of numbers.");
      numbers.push_back(static_cast<float>(number.to_number<double>()));
    }
  }
  if (answer.data.empty()) throw bad_response(kProvider, "it has no embeddings.");
  return answer;
}

Error from_error(const WireResponse& wire) { return google_error(kProvider, wire); }

std::string base_url(const catalog::ExternalModel&) {
  return "https://generativelanguage.googleapis.com";
}

Auth auth(const catalog::ExternalModel& model) {
  return {Auth::Kind::kHeader, "x-goog-api-key", std::string(model.secret("palm_api_key"))};
}

// batchEmbedText takes a hundred texts.
int max_texts(const catalog::ExternalModel&) { return 100; }

}  // namespace

constinit const Provider kPalm = {
    .name = kProvider,
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, chat_from_wire, nullptr},
    .completions = {completions_to_wire, completions_from_wire, nullptr},
    .embeddings = {embeddings_to_wire, embeddings_from_wire, max_texts},
    .from_error = from_error,
};

}  // namespace tessera::providers
