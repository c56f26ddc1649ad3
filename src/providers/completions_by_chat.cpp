#include "providers/completions_by_chat.h"

#include <algorithm>

#include "providers/parameters.h"

namespace tessera::providers {

WireRequest complete_by_chat(const api::CompletionRequest& request, const Context& context,
                             std::string_view provider,
                             WireRequest (*to_wire)(const api::ChatRequest&, const Context&)) {
  api::ChatRequest chat{.common = request.common, .generation = request.generation};
  chat.messages.push_back({.role = "user", .content = only_prompt(request, provider)});
  chat.generation.echo = false;
  const Dialect nothing{.provider = provider};
  Parameters own(request, nothing, context);
  for (const char* field : {"suffix", "echo", "best_of", "logprobs", "use_raw_prompt"}) {
    if (own.has(field)) own.refuse(field);
  }
  WireRequest wire = to_wire(chat, context);
  for (std::string& field : own.dropped()) wire.dropped.push_back(std::move(field));
  std::ranges::sort(wire.dropped);
  return wire;
}

api::CompletionResponse completion_of(api::ChatResponse chat) {
  api::CompletionResponse answer{.id = std::move(chat.id),
                                 .created = chat.created,
                                 .model = std::move(chat.model),
                                 .usage = std::move(chat.usage)};
  for (api::ChatChoice& choice : chat.choices) {
    api::CompletionChoice& made = answer.choices.emplace_back();
    made.index = choice.index;
    made.text = choice.message.content.value_or("");
    made.finish_reason = choice.finish_reason;
  }
  return answer;
}

namespace {

// The text of chat's chunks.
class Decoder final : public CompletionDecoder {
 public:
  explicit Decoder(std::unique_ptr<ChatDecoder> chat) : chat_(std::move(chat)) {}

  std::vector<api::CompletionResponse> feed(const WireEvent& event) override {
    return texts_of(chat_->feed(event));
  }
  std::vector<api::CompletionResponse> finish() override { return texts_of(chat_->finish()); }
  bool finished() const override { return chat_->finished(); }

 private:
  static std::vector<api::CompletionResponse> texts_of(std::vector<api::ChatChunk> chunks) {
    std::vector<api::CompletionResponse> texts;
    for (api::ChatChunk& chunk : chunks) {
      api::CompletionResponse out{.id = std::move(chunk.id),
                                  .created = chunk.created,
                                  .model = std::move(chunk.model),
                                  .usage = std::move(chunk.usage)};
      for (api::ChatChunkChoice& choice : chunk.choices) {
        std::string text = choice.delta.content.value_or("");
        if (text.empty() && !choice.finish_reason) continue;
        api::CompletionChoice& made = out.choices.emplace_back();
        made.index = choice.index;
        made.text = std::move(text);
        made.finish_reason = choice.finish_reason;
      }
      if (!out.choices.empty() || out.usage) texts.push_back(std::move(out));
    }
    return texts;
  }

  std::unique_ptr<ChatDecoder> chat_;
};

}  // namespace

std::unique_ptr<CompletionDecoder> completions_of(std::unique_ptr<ChatDecoder> chat) {
  return std::make_unique<Decoder>(std::move(chat));
}

}  // namespace tessera::providers
