// https://docs.cohere.com/v1/reference/generate (legacy); on Bedrock:
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-cohere-command.html
#include <algorithm>
#include <map>

#include "base/strings.h"
#include "providers/chunk_writer.h"
#include "providers/cohere.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"

namespace tessera::providers {
namespace {

constexpr Rule kRules[] = {
    {.field = "max_tokens"},
    {.field = "temperature", .lowest = 0, .highest = 5, .scale = 2.5},
    {.field = "top_p", .native = "p", .lowest = 0.01, .highest = 0.99},
    {.field = "top_k", .native = "k", .lowest = 0, .highest = 500, .native_passes = true},
    {.field = "n", .native = "num_generations", .lowest = 1, .highest = 5},
    // OpenAI's answers end before the stop text. `stop_sequences` would include it.
    {.field = "stop", .native = "end_sequences", .max_items = 5},
    {.field = "frequency_penalty", .lowest = 0, .highest = 1},
    {.field = "presence_penalty", .lowest = 0, .highest = 1},
    {.field = "seed", .lowest = 0},
};
constexpr Rule kBedrockRules[] = {
    {.field = "max_tokens"},
    {.field = "temperature", .lowest = 0, .highest = 5, .scale = 2.5},
    {.field = "top_p", .native = "p", .lowest = 0.01, .highest = 0.99},
    {.field = "top_k", .native = "k", .lowest = 0, .highest = 500, .native_passes = true},
    {.field = "n", .native = "num_generations", .lowest = 1, .highest = 5},
    {.field = "stop", .native = "stop_sequences", .max_items = 4},
};
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {{"stop_sequences", "stop"},
                                                                      {"end_sequences", "stop"}};

std::vector<std::string> stops_of(const Memo& memo) {
  std::vector<std::string> stops;
  const auto note = memo.notes.find("cut_stop");
  if (note == memo.notes.end()) return stops;
  const json::value list = parse_json(note->second);
  for (const json::value& stop : list.as_array()) stops.emplace_back(stop.get_string());
  return stops;
}

void cut_stop(std::string& text, const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    if (!text.ends_with(stop)) continue;
    text.resize(text.size() - stop.size());
    return;
  }
}

}  // namespace

WireRequest cohere_generate(const api::CompletionRequest& request, const Context& context,
                            CohereHost host) {
  const bool bedrock = host == CohereHost::kBedrock;
  Dialect dialect{.provider = "cohere", .rules = kRules, .aliases = kAliases};
  if (bedrock) dialect = {"amazon-bedrock/cohere", kBedrockRules, kAliases, {}, 0};
  Parameters parameters(request, dialect, context);
  json::object body;
  if (!bedrock) body["model"] = context.model.name;
  body["prompt"] = only_prompt(request, dialect.provider);
  if (!bedrock || request.generation.stream) body["stream"] = request.generation.stream;
  parameters.write(body);

  WireRequest wire{.path = "/v1/generate",
                   .body = tessera::to_json(body),
                   .framing = Framing::kNdjson,
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  if (bedrock && !request.generation.stop.empty()) {
    json::array stops(request.generation.stop.begin(), request.generation.stop.end());
    wire.memo.notes["cut_stop"] = tessera::to_json(stops);
  }
  return wire;
}

api::CompletionResponse cohere_generate_answer(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer("cohere", wire.body);
  const json::array& generations = list_at(root, "generations");
  if (generations.empty()) throw bad_response("cohere", "it has no generations.");
  api::CompletionResponse answer{.id = or_else(id_at(root, "id"), make_id("cmpl-", memo)),
                                 .created = memo.now_s,
                                 .model = memo.model};
  const std::vector<std::string> stops = stops_of(memo);
  for (const json::value& entry : generations) {
    if (!entry.is_object()) throw bad_response("cohere", "a generation is not an object.");
    const json::object& generation = entry.get_object();
    api::CompletionChoice& choice = answer.choices.emplace_back();
    choice.index = static_cast<int>(answer.choices.size()) - 1;
    choice.text = text_at(generation, "text");
    cut_stop(choice.text, stops);
    choice.finish_reason = cohere_finish_reason(text_at(generation, "finish_reason"));
  }
  answer.usage = cohere_usage(object_at(root, "meta"));
  if (!answer.usage) answer.usage = usage_of_invocation(wire);
  return answer;
}

namespace {

// The end of what was streamed may be the stop text: that much is held back until more is known.
class StopTail {
 public:
  explicit StopTail(const std::vector<std::string>& stops) : stops_(stops) {
    for (const std::string& stop : stops) longest_ = std::max(longest_, stop.size());
  }

  std::string add(std::string_view text) {
    held_ += text;
    if (held_.size() <= longest_) return {};
    std::size_t sure = held_.size() - longest_;
    while (sure > 0 && (static_cast<unsigned char>(held_[sure]) & 0xC0) == 0x80) --sure;
    std::string out = held_.substr(0, sure);
    held_.erase(0, sure);
    return out;
  }

  std::string finish() {
    cut_stop(held_, stops_);
    return std::exchange(held_, {});
  }

 private:
  const std::vector<std::string>& stops_;
  std::size_t longest_ = 0;
  std::string held_;
};

class Decoder final : public CompletionDecoder {
 public:
  explicit Decoder(const Memo& memo) : stops_(stops_of(memo)), chunks_(memo) {}

  std::vector<api::CompletionResponse> feed(const WireEvent& event) override {
    if (finished_) return {};
    const json::object root = read_answer("cohere", event.data);
    const std::string type = text_at(root, "event_type");
    const std::string failure = or_else(text_at(root, "err"), text_at(root, "message"));
    if (type == "stream-error" || (type.empty() && !failure.empty())) {
      throw to_error({.provider = "cohere", .message = failure, .meaning = 500},
                     {.status = 0, .body = std::string(event.data)});
    }
    if (flag_at(root, "is_finished") || type == "stream-end") {
      end(root);
    } else {
      const int choice = choice_of(root, 0);
      chunks_.text(tail(choice).add(text_at(root, "text")), choice);
    }
    return chunks_.take();
  }

  bool finished() const override { return finished_; }

 private:
  static int choice_of(const json::object& object, std::size_t otherwise) {
    constexpr std::int64_t kMost = 1000;  // n is 5 at most
    return static_cast<int>(
        std::min(kMost, count_at(object, "index").value_or(static_cast<std::int64_t>(otherwise))));
  }

  StopTail& tail(int choice) { return tails_.try_emplace(choice, stops_).first->second; }

  // `response` repeats all texts, which were sent already.
  void end(const json::object& root) {
    const std::string reason = text_at(root, "finish_reason");
    const json::array& generations = list_at(root, "response.generations");
    for (std::size_t i = 0; i < generations.size(); ++i) {
      if (!generations[i].is_object()) continue;
      const json::object& generation = generations[i].get_object();
      finish(choice_of(generation, i), or_else(text_at(generation, "finish_reason"), reason));
    }
    if (generations.empty()) finish(choice_of(root, 0), reason);
    std::optional<api::Usage> usage = cohere_usage(object_at(root, "response.meta"));
    if (!usage) usage = cohere_usage(object_at(root, "meta"));
    if (!usage) usage = usage_of_invocation(root);
    if (usage) chunks_.usage(*usage);
    finished_ = true;
  }

  void finish(int choice, std::string_view reason) {
    const api::FinishReason mapped = cohere_finish_reason(reason);
    chunks_.text(tail(choice).finish(), choice);
    chunks_.finish(mapped, choice);
  }

  const std::vector<std::string> stops_;
  CompletionChunkWriter chunks_;
  std::map<int, StopTail> tails_;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<CompletionDecoder> cohere_generate_stream(const Memo& memo) {
  return std::make_unique<Decoder>(memo);
}

}  // namespace tessera::providers
