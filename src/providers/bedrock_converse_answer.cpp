// Answers in Converse.
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
#include "providers/bedrock_converse.h"
#include "providers/blocks.h"
#include "providers/failure.h"
#include "providers/reading.h"

namespace tessera::providers {
namespace {

using api::FinishReason;

constexpr std::string_view kProvider = "amazon-bedrock";

// Throws the Error that a model's nonsense is.
FinishReason finish_of(const std::string& reason) {
  if (reason == "malformed_model_output" || reason == "malformed_tool_use") {
    throw to_error({.provider = kProvider,
                    .code = reason,
                    .message = "The model's output could not be read: " + reason + ".",
                    .kind = ErrorKind::kProviderError},
                   {.status = 0});
  }
  if (reason == "max_tokens" || reason == "model_context_window_exceeded") {
    return FinishReason::kLength;
  }
  if (reason == "tool_use") return FinishReason::kToolCalls;
  if (reason == "guardrail_intervened" || reason == "content_filtered") {
    return FinishReason::kContentFilter;
  }
  return FinishReason::kStop;
}

std::optional<api::Usage> read_usage(const json::object& usage) {
  const auto input = count_at(usage, "inputTokens"), output = count_at(usage, "outputTokens");
  if (!input && !output) return std::nullopt;
  const auto read = count_at(usage, "cacheReadInputTokens");
  const auto written = count_at(usage, "cacheWriteInputTokens");
  api::Usage ours =
      usage_of(input.value_or(0) + read.value_or(0) + written.value_or(0), output.value_or(0));
  ours.cached_tokens = read;
  ours.cache_write_tokens = written;
  return ours;
}

json::object hidden_block(const json::object& reasoning) {
  return {{"type", "redacted_thinking"}, {"data", text_at(reasoning, "redactedContent")}};
}

class ConverseDecoder final : public ChatDecoder {
 public:
  explicit ConverseDecoder(const Memo& memo) : blocks_(memo) {}

  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    if (finished_) return {};
    const json::object payload = read_answer(kProvider, event.data);
    const std::int64_t index = count_at(payload, "contentBlockIndex").value_or(0);
    if (event.name == "messageStart") {
      blocks_.out().start();
    } else if (event.name == "contentBlockStart") {
      const json::object& call = object_at(payload, "start.toolUse");
      if (!call.empty()) {
        blocks_.open_call(index, text_at(call, "toolUseId"), text_at(call, "name"));
      }
    } else if (event.name == "contentBlockDelta") {
      delta(index, object_at(payload, "delta"));
    } else if (event.name == "contentBlockStop") {
      blocks_.close(index);
    } else if (event.name == "messageStop") {
      blocks_.finish(finish_of(text_at(payload, "stopReason")));
      stopped_ = true;
    } else if (event.name == "metadata") {
      if (const auto usage = read_usage(object_at(payload, "usage"))) blocks_.out().usage(*usage);
      finished_ = stopped_;
    }
    return blocks_.out().take();
  }

  // The usage comes after the end of the message, if at all.
  std::vector<api::ChatChunk> finish() override {
    if (stopped_) finished_ = true;
    return ChatDecoder::finish();
  }

  bool finished() const override { return finished_; }

 private:
  void delta(std::int64_t index, const json::object& delta) {
    blocks_.text(text_at(delta, "text"));
    blocks_.input(index, text_at(delta, "toolUse.input"));
    const json::object& reasoning = object_at(delta, "reasoningContent");
    if (reasoning.empty()) return;
    const std::string thought = text_at(reasoning, "text");
    if (!thought.empty()) blocks_.thought(index, thought);
    const std::string signature = text_at(reasoning, "signature");
    if (!signature.empty()) blocks_.signature(index, signature);
    if (reasoning.contains("redactedContent")) {
      blocks_.hidden_thought(index, hidden_block(reasoning));
    }
  }

  BlockStream blocks_;
  bool stopped_ = false, finished_ = false;
};

}  // namespace

api::ChatResponse converse_from_wire(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kProvider, wire.body);
  const json::value* content = value_at(root, "output.message.content");
  if (content == nullptr || !content->is_array()) {
    throw bad_response(kProvider, "it has no list 'output.message.content'");
  }
  BlockAnswer blocks(memo);
  for (const json::value& value : content->get_array()) {
    if (!value.is_object()) continue;
    const json::object& block = value.get_object();
    blocks.text(text_at(block, "text"));
    const json::object& call = object_at(block, "toolUse");
    if (!call.empty()) {
      blocks.call(text_at(call, "toolUseId"), text_at(call, "name"), object_at(call, "input"));
    }
    const json::object& reasoning = object_at(block, "reasoningContent");
    if (reasoning.contains("redactedContent")) {
      blocks.thought({}, hidden_block(reasoning));
    } else if (!reasoning.empty()) {
      const std::string text = text_at(reasoning, "reasoningText.text");
      blocks.thought(text, thinking_block(text, text_at(reasoning, "reasoningText.signature")));
    }
  }
  api::ChatResponse answer{
      .id = make_id("chatcmpl-", memo), .created = memo.now_s, .model = memo.model};
  answer.choices.push_back(std::move(blocks).choice(finish_of(text_at(root, "stopReason"))));
  answer.usage = read_usage(object_at(root, "usage"));
  return answer;
}

std::unique_ptr<ChatDecoder> converse_stream(const Memo& memo) {
  return std::make_unique<ConverseDecoder>(memo);
}

}  // namespace tessera::providers
