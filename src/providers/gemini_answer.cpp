// https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse
#include <algorithm>
#include <map>

#include "base/clock.h"
#include "base/strings.h"
#include "providers/chunk_writer.h"
#include "providers/failure.h"
#include "providers/reading.h"
#include "providers/structured.h"
#include "providers/tool_names.h"
#include "providers/turns.h"
#include "providers/vertex.h"

namespace tessera::providers {
namespace {

using api::FinishReason;

// --- What both the plain answer and a stream's events have ---

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::ranges::find(list, name) != std::end(list);
}

constexpr std::string_view kFiltered[] = {
    "SAFETY",      "RECITATION",   "BLOCKLIST", "PROHIBITED_CONTENT",       "SPII",
    "MODEL_ARMOR", "IMAGE_SAFETY", "LANGUAGE",  "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
};
constexpr std::string_view kBroken[] = {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
                                        "TOO_MANY_TOOL_CALLS"};

// Throws for a call that the model could not write, when there is nothing else to show.
FinishReason finish_reason_of(std::string_view reason, bool has_content) {
  if (reason == "MAX_TOKENS" || reason == "CONTINUATION") return FinishReason::kLength;
  if (contains(kFiltered, reason)) return FinishReason::kContentFilter;
  if (contains(kBroken, reason) && !has_content) {
    throw to_error(
        {.provider = kVertexName,
         .code = std::string(reason),
         .message = "The model's answer was no valid call of a tool (" + std::string(reason) + ").",
         .meaning = 500,
         .should_retry = true},
        {.status = 0});
  }
  return FinishReason::kStop;
}

std::optional<api::Usage> usage_of_answer(const json::object& root) {
  const json::object& counts = object_at(root, "usageMetadata");
  const auto prompt = count_at(counts, "promptTokenCount");
  const auto candidates = count_at(counts, "candidatesTokenCount");
  const auto thoughts = count_at(counts, "thoughtsTokenCount");
  const auto total = count_at(counts, "totalTokenCount");
  if (!prompt && !candidates && !total) return std::nullopt;  // trafficType alone
  api::Usage usage =
      usage_of(prompt.value_or(0) + count_at(counts, "toolUsePromptTokenCount").value_or(0),
               candidates.value_or(0) + thoughts.value_or(0));
  usage.total_tokens = std::max(usage.total_tokens, total.value_or(0));
  usage.reasoning_tokens = thoughts;
  usage.cached_tokens = count_at(counts, "cachedContentTokenCount");
  return usage;
}

std::string block_reason_of(const json::object& root) {
  return text_at(root, "promptFeedback.blockReason");
}

// An error inside of a 200 stream, bare or as the only element of an array.
void throw_if_error(std::string_view data) {
  if (data.find("\"error\"") == std::string_view::npos) return;
  const json::value tree = parse_json(data);
  const json::object* object = tree.if_object();
  if (const json::array* array = tree.if_array(); array != nullptr && !array->empty()) {
    object = array->front().if_object();
  }
  if (object == nullptr || object_at(*object, "error").empty()) return;
  throw google_error(kVertexName, {.status = 0, .body = std::string(data)});
}

json::object read_root(std::string_view data) {
  json::object root;
  try {
    throw_if_error(data);
    root = parse_json_object(data);
  } catch (const Error& error) {
    if (error.kind != ErrorKind::kBadJson) throw;
    throw bad_response(kVertexName, error.message);
  }
  return root;
}

int index_of(const json::object& candidate, std::size_t order) {
  constexpr std::int64_t kMost = 1000;  // candidateCount is 8 at most
  return static_cast<int>(
      std::min(kMost, count_at(candidate, "index").value_or(static_cast<std::int64_t>(order))));
}

// One functionCall part as ours. Ids are counted over all choices: identical calls differ in it.
api::ToolCall call_of(const json::object& part, const Memo& memo, std::size_t order) {
  const json::object& call = object_at(part, "functionCall");
  const json::object& args = object_at(call, "args");
  api::ToolCall out{.id = or_else(id_at(call, "id"), synthesised_call_id(memo.seed, order)),
                    .name = client_name(memo, text_at(call, "name")),
                    .arguments = args.empty() ? "{}" : tessera::to_json(args)};
  // As Google's own OpenAI-compatible surface gives it.
  if (const std::string signature = text_at(part, "thoughtSignature"); !signature.empty()) {
    out.extra_content =
        tessera::to_json(json::object{{"google", {{"thought_signature", signature}}}});
  }
  return out;
}

api::TokenScore score_of(const json::object& candidate) {
  api::TokenScore score;
  score.bytes = text_at(candidate, "token");
  score.token = utf8_sanitize(score.bytes);
  score.logprob = static_cast<float>(number_at(candidate, "logProbability").value_or(0));
  return score;
}

api::ChatLogprobs logprobs_of(const json::object& candidate) {
  api::ChatLogprobs out;
  const json::array& chosen = list_at(candidate, "logprobsResult.chosenCandidates");
  const json::array& top = list_at(candidate, "logprobsResult.topCandidates");
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (!chosen[i].is_object()) continue;
    api::ChatTokenLogprob& token = out.content.emplace_back();
    static_cast<api::TokenScore&>(token) = score_of(chosen[i].get_object());
    if (i >= top.size() || !top[i].is_object()) continue;
    for (const json::value& other : list_at(top[i].get_object(), "candidates")) {
      if (other.is_object()) token.top_logprobs.push_back(score_of(other.get_object()));
    }
  }
  return out;
}

std::int64_t created_of(const json::object& root, const Memo& memo) {
  const auto ms = parse_rfc3339(text_at(root, "createTime"));
  return ms ? *ms / 1000 : memo.now_s;
}

json::object answer_arguments(const json::object& part) {
  return object_at(part, "functionCall.args");
}

api::ChatChoice choice_of(const json::object& candidate, std::size_t order, const Memo& memo,
                          std::size_t& calls) {
  api::ChatChoice choice;
  choice.index = index_of(candidate, order);
  std::string text;
  for (const json::value& entry : list_at(candidate, "content.parts")) {
    if (!entry.is_object()) continue;
    const json::object& part = entry.get_object();
    if (part.contains("functionCall")) {
      if (is_json_tool(memo, text_at(part, "functionCall.name"))) {
        text += json_tool_answer(answer_arguments(part), memo);
      } else {
        choice.message.tool_calls.push_back(call_of(part, memo, calls++));
      }
    } else if (flag_at(part, "thought")) {
      choice.reasoning_content += text_at(part, "text");
    } else {
      text += text_at(part, "text");  // of images and executed code nothing is shown
    }
  }
  const bool has_calls = !choice.message.tool_calls.empty();
  choice.finish_reason = with_calls(
      finish_reason_of(text_at(candidate, "finishReason"), has_calls || !text.empty()), has_calls);
  if (!text.empty() || !has_calls) choice.message.content = std::move(text);
  if (api::ChatLogprobs logprobs = logprobs_of(candidate); !logprobs.content.empty()) {
    choice.logprobs = std::move(logprobs);
  }
  return choice;
}

api::ChatChoice blocked_choice(const std::string& reason) {
  api::ChatChoice choice;
  choice.message.content = "";
  choice.finish_reason = FinishReason::kContentFilter;
  choice.extra.emplace_back("content_filter_reason", tessera::to_json(json::value(reason)));
  return choice;
}

}  // namespace

api::ChatResponse gemini_answer(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_root(wire.body);
  api::ChatResponse answer{.id = or_else(id_at(root, "responseId"), make_id("chatcmpl-", memo)),
                           .created = created_of(root, memo),
                           .model = or_else(text_at(root, "modelVersion"), memo.model)};
  std::size_t calls = 0;
  for (const json::value& candidate : list_at(root, "candidates")) {
    if (!candidate.is_object()) continue;
    answer.choices.push_back(choice_of(candidate.get_object(), answer.choices.size(), memo, calls));
  }
  if (answer.choices.empty()) {
    const std::string reason = block_reason_of(root);
    if (reason.empty()) throw bad_response(kVertexName, "it has no candidates.");
    answer.choices.push_back(blocked_choice(reason));
  }
  answer.usage = usage_of_answer(root);
  return answer;
}

// --- Streams: each event is a whole answer whose parts are deltas; the end is the stream's ---

namespace {

class Decoder final : public ChatDecoder {
 public:
  explicit Decoder(const Memo& memo) : memo_(memo), chunks_(memo) {}

  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    const json::object root = read_root(event.data);
    if (!begun_) {
      begun_ = true;
      chunks_.set_id(id_at(root, "responseId"));
      chunks_.set_model(text_at(root, "modelVersion"));
    }
    if (auto usage = usage_of_answer(root)) usage_ = std::move(usage);
    std::size_t order = 0;
    for (const json::value& candidate : list_at(root, "candidates")) {
      if (candidate.is_object()) add(candidate.get_object(), order);
      ++order;
    }
    if (const std::string reason = block_reason_of(root); !reason.empty()) {
      choices_[0].reason = "SAFETY";
      choices_[0].block_reason = reason;
    }
    return chunks_.take();
  }

  std::vector<api::ChatChunk> finish() override {
    if (finished_) return {};
    const bool all_ended =
        !choices_.empty() && std::ranges::all_of(choices_, [](const auto& entry) {
          return !entry.second.reason.empty();
        });
    if (!all_ended) return ChatDecoder::finish();  // truncated: throws
    for (const auto& [index, choice] : choices_) {
      chunks_.finish(finish_reason_of(choice.reason, choice.has_content), index);
      if (choice.block_reason.empty()) continue;
      chunks_.last()->extra.emplace_back("content_filter_reason",
                                         tessera::to_json(json::value(choice.block_reason)));
    }
    if (usage_) chunks_.usage(*usage_);
    finished_ = true;
    return chunks_.take();
  }

  bool finished() const override { return finished_; }

 private:
  struct Choice {
    std::string reason, block_reason;
    bool has_content = false;
  };

  void add(const json::object& candidate, std::size_t order) {
    const int index = index_of(candidate, order);
    Choice& choice = choices_[index];
    for (const json::value& entry : list_at(candidate, "content.parts")) {
      if (!entry.is_object()) continue;
      add_part(entry.get_object(), index, choice);
    }
    chunks_.logprobs(logprobs_of(candidate), index);
    if (std::string reason = text_at(candidate, "finishReason"); !reason.empty()) {
      choice.reason = std::move(reason);
    }
  }

  void add_part(const json::object& part, int index, Choice& choice) {
    const std::string text = text_at(part, "text");
    if (!part.contains("functionCall")) {
      if (flag_at(part, "thought")) return chunks_.reasoning(text, index);
      choice.has_content |= !text.empty();
      return chunks_.text(text, index);
    }
    choice.has_content = true;
    if (is_json_tool(memo_, text_at(part, "functionCall.name"))) {
      return chunks_.text(json_tool_answer(answer_arguments(part), memo_), index);
    }
    api::ToolCall call = call_of(part, memo_, calls_++);
    chunks_.begin_call(std::move(call.id), std::move(call.name), index);
    api::ToolCallDelta& delta = chunks_.last()->delta.tool_calls.back();
    delta.arguments = std::move(call.arguments);
    delta.extra_content = std::move(call.extra_content);
  }

  const Memo memo_;
  ChatChunkWriter chunks_;
  std::map<int, Choice> choices_;
  std::size_t calls_ = 0;
  std::optional<api::Usage> usage_;
  bool begun_ = false, finished_ = false;
};

}  // namespace

std::unique_ptr<ChatDecoder> gemini_stream(const Memo& memo) {
  return std::make_unique<Decoder>(memo);
}

}  // namespace tessera::providers
