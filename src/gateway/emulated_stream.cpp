#include "gateway/emulated_stream.h"

#include <utility>

namespace tessera::gateway {

std::vector<api::ChatChunk> chunks_of(api::ChatResponse response) {
  api::ChatChunk base;
  base.id = std::move(response.id);
  base.created = response.created;
  base.model = std::move(response.model);
  base.system_fingerprint = std::move(response.system_fingerprint);
  std::vector<api::ChatChunk> chunks;
  const auto add = [&](api::ChatChunkChoice choice) {
    chunks.push_back(base);
    chunks.back().choices.push_back(std::move(choice));
  };
  for (api::ChatChoice& whole : response.choices) {
    api::ChatChunkChoice choice;
    choice.index = whole.index;
    const api::ChatChunkChoice empty = choice;
    choice.delta.role = true;
    choice.delta.content = "";
    add(std::move(choice));
    if (!whole.reasoning_content.empty() || !whole.thinking_blocks.empty()) {
      choice = empty;
      if (!whole.reasoning_content.empty()) {
        choice.delta.reasoning_content = std::move(whole.reasoning_content);
      }
      choice.delta.thinking_blocks = std::move(whole.thinking_blocks);
      add(std::move(choice));
    }
    if (whole.message.content && !whole.message.content->empty()) {
      choice = empty;
      choice.delta.content = std::move(whole.message.content);
      choice.logprobs = std::move(whole.logprobs);
      add(std::move(choice));
    }
    if (whole.refusal) {
      choice = empty;
      choice.delta.refusal = std::move(whole.refusal);
      add(std::move(choice));
    }
    int index = 0;
    for (api::ToolCall& call : whole.message.tool_calls) {
      choice = empty;
      api::ToolCallDelta delta;
      delta.index = index++;
      delta.id = std::move(call.id);
      delta.name = std::move(call.name);
      delta.arguments = std::move(call.arguments);
      choice.delta.tool_calls.push_back(std::move(delta));
      add(std::move(choice));
    }
    choice = empty;
    choice.finish_reason = whole.finish_reason;
    choice.stop_reason = std::move(whole.stop_reason);
    add(std::move(choice));
  }
  if (response.usage) {
    chunks.push_back(base);
    chunks.back().usage = std::move(response.usage);
  }
  return chunks;
}

std::vector<api::CompletionResponse> chunks_of(api::CompletionResponse response) {
  std::vector<api::CompletionChoice> choices = std::exchange(response.choices, {});
  std::optional<api::Usage> usage = std::exchange(response.usage, std::nullopt);
  std::vector<api::CompletionResponse> chunks;
  for (api::CompletionChoice& choice : choices) {
    chunks.push_back(response);
    chunks.back().choices.push_back(std::move(choice));
  }
  if (usage) {
    chunks.push_back(std::move(response));
    chunks.back().usage = std::move(usage);
  }
  return chunks;
}

}  // namespace tessera::gateway
