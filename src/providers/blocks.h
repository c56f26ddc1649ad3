// Answers that are made of blocks (Anthropic's Messages, Bedrock's Converse) on their way into our
// form: text, tool calls, thoughts, and the answer by our own tool where structured output is asked
// for by it (external-providers 6.4 to 6.7). Private to the room.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "providers/chunk_writer.h"
#include "providers/provider.h"

namespace tessera::providers {

// Thoughts for replay, in Anthropic's form whoever tells them.
json::object thinking_block(std::string_view thinking, std::string_view signature);

// A plain answer's blocks, in order, then choice().
class BlockAnswer {
 public:
  explicit BlockAnswer(const Memo& memo) : memo_(memo) {}

  void text(std::string_view text) { text_ += text; }
  void call(std::string id, std::string_view name, const json::object& input);
  void thought(std::string_view text, json::object block_for_replay);

  // `reason` as the provider means it; a turn that ends for our own tool has just ended.
  api::ChatChoice choice(api::FinishReason reason) &&;

 private:
  const Memo& memo_;
  api::ChatChoice choice_;
  std::string text_;
  std::optional<std::string> json_answer_;
  json::array thoughts_;
};

// A streamed answer's blocks, by the provider's index of them; the chunks are in out().
class BlockStream {
 public:
  explicit BlockStream(const Memo& memo) : memo_(memo), out_(memo) {}

  ChatChunkWriter& out() { return out_; }

  void text(std::string_view piece);
  void open_call(std::int64_t index, std::string id, const std::string& name);
  void whole_input(std::int64_t index, const json::object& input);  // nothing more will come
  void input(std::int64_t index, std::string_view json);            // a piece of the arguments
  // The block opens with its first piece.
  void thought(std::int64_t index, std::string_view piece);
  void signature(std::int64_t index, std::string_view piece);
  void hidden_thought(std::int64_t index, json::object block_for_replay);
  void close(std::int64_t index);

  // `extra`: further members of the choice.
  void finish(api::FinishReason reason, const api::StringPairs& extra = {});

 private:
  struct Block {
    enum class Kind { kOther, kCall, kJson, kThought, kHidden };
    Kind kind = Kind::kOther;
    int call = 0;            // kCall: its index among the calls
    bool has_input = false;  // kCall, kJson
    bool complete = false;   // kCall, kJson: the input came at once
    std::string text;        // kThought; kJson that must be unwrapped: its input
    std::string signature;   // kThought
    json::object whole;      // kHidden
  };

  const Memo memo_;
  ChatChunkWriter out_;
  std::map<std::int64_t, Block> blocks_;
  std::string held_text_;
  bool json_came_ = false;
};

}  // namespace tessera::providers
