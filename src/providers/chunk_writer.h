// The chunks of one streamed answer (external-providers 1.8): the same id, created and model on
// each, the role first, tool calls counted from 0, one finish per choice. Private to the room.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider.h"

namespace tessera::providers {

class ChatChunkWriter {
 public:
  explicit ChatChunkWriter(const Memo& memo);

  // Before the first chunk; empty ones change nothing.
  void set_id(std::string id);
  void set_model(std::string model);

  // Each first chunk of a choice brings its role along; start() says it alone.
  void start(int choice = 0);
  void text(std::string_view text, int choice = 0);  // "" writes nothing
  void reasoning(std::string_view text, int choice = 0);
  void logprobs(api::ChatLogprobs logprobs,
                int choice = 0);  // with the text written last, or alone
  // JSON text of an array: blocks for replay. "" writes nothing.
  void thinking_blocks(std::string_view json, int choice = 0);
  // The call's index in the choice.
  int begin_call(std::string id, std::string name, int choice = 0);
  void arguments(int call, std::string_view text, int choice = 0);
  // A call: `stop` becomes `tool_calls`. The second finish of a choice is ignored.
  void finish(api::FinishReason reason, int choice = 0);
  void usage(const api::Usage& usage);

  bool started(int choice = 0) const;
  int calls(int choice = 0) const;
  bool has_finished(int choice = 0) const;
  // What was written since the last call.
  std::vector<api::ChatChunk> take();
  // The choice written last, for what has no function of its own; nullptr when all were taken.
  api::ChatChunkChoice* last();

 private:
  struct Choice {
    bool started = false, finished = false;
    int calls = 0;
  };
  api::ChatChunk chunk() const;
  api::ChatChunkChoice& add(int choice);

  api::ChatChunk head_;
  std::map<int, Choice> choices_;
  std::vector<api::ChatChunk> chunks_;
};

// The same for completions; with `index` of the choice.
class CompletionChunkWriter {
 public:
  explicit CompletionChunkWriter(const Memo& memo);
  void set_id(std::string id);
  void set_model(std::string model);
  void text(std::string_view text, int choice = 0);
  void finish(api::FinishReason reason, int choice = 0);
  void usage(const api::Usage& usage);
  bool has_finished(int choice = 0) const;
  std::vector<api::CompletionResponse> take();

 private:
  api::CompletionChoice& add(int choice);
  api::CompletionResponse head_;
  std::map<int, bool> finished_;
  std::vector<api::CompletionResponse> chunks_;
};

// `tool_calls` where the mapped reason is `stop` and calls were made (1.7).
api::FinishReason with_calls(api::FinishReason reason, bool has_calls);

}  // namespace tessera::providers
