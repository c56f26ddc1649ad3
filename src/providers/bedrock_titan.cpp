#include "providers/bedrock_titan.h"

#include "base/strings.h"
#include "providers/chunk_writer.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"

namespace tessera::providers {
namespace {

using api::FinishReason;

constexpr std::string_view kProvider = "amazon-bedrock";

constexpr Rule kTextRules[] = {
    {.field = "max_tokens", .native = "textGenerationConfig.maxTokenCount"},
    {.field = "temperature",
     .native = "textGenerationConfig.temperature",
     .lowest = 0,
     .highest = 1,
     .scale = 0.5},
    {.field = "top_p", .native = "textGenerationConfig.topP", .lowest = 0, .highest = 1},
    {.field = "stop", .native = "textGenerationConfig.stopSequences"},
};
constexpr std::pair<std::string_view, std::string_view> kTextAliases[] = {{"inputText", "prompt"}};
constexpr Dialect kText = {.provider = kProvider, .rules = kTextRules, .aliases = kTextAliases};

constexpr Rule kEmbedRules[] = {
    {.field = "dimensions", .lowest = 256, .highest = 1024},
    {.field = "normalize"},
};
constexpr std::pair<std::string_view, std::string_view> kEmbedAliases[] = {{"inputText", "input"}};
// The second generation alone has parameters.
constexpr Dialect kEmbed = {.provider = kProvider, .rules = {}, .aliases = kEmbedAliases};
constexpr Dialect kEmbedV2 = {
    .provider = kProvider, .rules = kEmbedRules, .aliases = kEmbedAliases};

bool is_second_generation(std::string_view model) {
  return model.find("embed-text-v2") != std::string_view::npos;
}

FinishReason finish_of(std::string_view reason) {
  if (reason == "LENGTH") return FinishReason::kLength;
  if (reason == "CONTENT_FILTERED") return FinishReason::kContentFilter;
  return FinishReason::kStop;  // FINISH, FINISHED, STOP_CRITERIA_MET
}

class TextDecoder final : public CompletionDecoder {
 public:
  explicit TextDecoder(const Memo& memo) : out_(memo) {}

  std::vector<api::CompletionResponse> feed(const WireEvent& event) override {
    if (finished_) return {};
    const json::object chunk = read_answer(kProvider, event.data);
    out_.text(text_at(chunk, "outputText"));
    if (const auto count = count_at(chunk, "inputTextTokenCount")) prompt_tokens_ = count;
    if (const auto count = count_at(chunk, "totalOutputTextTokenCount")) output_tokens_ = count;
    const std::string reason = text_at(chunk, "completionReason");
    if (!reason.empty()) {
      out_.finish(finish_of(reason));
      if (prompt_tokens_ && output_tokens_) {
        out_.usage(usage_of(*prompt_tokens_, *output_tokens_));
      } else if (const auto usage = usage_of_invocation(chunk)) {
        out_.usage(*usage);
      }
      finished_ = true;
    }
    return out_.take();
  }

  bool finished() const override { return finished_; }

 private:
  CompletionChunkWriter out_;
  std::optional<std::int64_t> prompt_tokens_, output_tokens_;
  bool finished_ = false;
};

}  // namespace

// The frame "User: …\nBot:" is the user's choice.
WireRequest titan_text_to_wire(const api::CompletionRequest& request, const Context& context) {
  Parameters parameters(request, kText, context);
  json::object body{{"inputText", only_prompt(request, kProvider)}};
  parameters.write(body);
  WireRequest wire{.body = tessera::to_json(json::value(std::move(body))),
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  return wire;
}

api::CompletionResponse titan_text_from_wire(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kProvider, wire.body);
  const json::array& results = list_at(root, "results");
  if (results.empty()) throw bad_response(kProvider, "it has no results");
  api::CompletionResponse answer{
      .id = make_id("cmpl-", memo), .created = memo.now_s, .model = memo.model};
  std::optional<std::int64_t> output_tokens;
  for (const json::value& value : results) {
    if (!value.is_object()) throw bad_response(kProvider, "a result is not an object");
    const json::object& result = value.get_object();
    answer.choices.push_back({.index = static_cast<int>(answer.choices.size()),
                              .text = text_at(result, "outputText"),
                              .finish_reason = finish_of(text_at(result, "completionReason"))});
    if (const auto count = count_at(result, "tokenCount")) {
      output_tokens = output_tokens.value_or(0) + *count;
    }
  }
  const auto prompt_tokens = count_at(root, "inputTextTokenCount");
  answer.usage = prompt_tokens && output_tokens
                     ? std::optional(usage_of(*prompt_tokens, *output_tokens))
                     : usage_of_invocation(wire);
  return answer;
}

std::unique_ptr<CompletionDecoder> titan_text_stream(const Memo& memo) {
  return std::make_unique<TextDecoder>(memo);
}

WireRequest titan_embed_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  const bool second = is_second_generation(context.model.name);
  Parameters parameters(request, second ? kEmbedV2 : kEmbed, context);
  const std::vector<std::string> texts = texts_of(request, kProvider);
  if (texts.size() != 1) {
    throw Error(ErrorKind::kArrayLength,
                "Invalid value for 'input': this model takes one text per call, not " +
                    std::to_string(texts.size()) + ".",
                "input");
  }
  json::object body{{"inputText", texts.front()}};
  parameters.write(body);
  WireRequest wire{.body = tessera::to_json(json::value(std::move(body))),
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  return wire;
}

api::EmbeddingResponse titan_embed_from_wire(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kProvider, wire.body);
  const json::value* vector = value_at(root, "embedding");
  if (vector == nullptr) vector = value_at(root, "embeddingsByType.float");
  if (vector == nullptr || !vector->is_array() || vector->get_array().empty()) {
    throw bad_response(kProvider, "it has no list 'embedding'");
  }
  api::EmbeddingResponse answer{.id = make_id("embd-", memo), .model = memo.model};
  std::vector<float>& data = answer.data.emplace_back();
  data.reserve(vector->get_array().size());
  for (const json::value& number : vector->get_array()) {
    if (!number.is_number()) throw bad_response(kProvider, "an embedding has no numbers");
    data.push_back(number.to_number<float>());
  }
  std::optional<std::int64_t> tokens = count_at(root, "inputTextTokenCount");
  if (!tokens) {
    if (const auto usage = usage_of_invocation(wire)) tokens = usage->prompt_tokens;
  }
  answer.usage.prompt_tokens = answer.usage.total_tokens = tokens.value_or(0);  // 0: not told
  return answer;
}

}  // namespace tessera::providers
