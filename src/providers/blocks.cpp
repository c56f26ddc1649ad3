#include "providers/blocks.h"

#include "providers/structured.h"

namespace tessera::providers {
namespace {

using api::FinishReason;

std::string to_text(json::object block) {
  return tessera::to_json(json::value(json::array{std::move(block)}));
}

FinishReason finish_of(FinishReason reason, bool has_calls) {
  if (has_calls) return with_calls(reason, true);
  return reason == FinishReason::kToolCalls ? FinishReason::kStop : reason;
}

std::string unwrapped(const std::string& input, const Memo& memo) {
  try {
    return json_tool_answer(parse_json(input), memo);
  } catch (const Error&) {
    return input;  // the model broke off in the middle: as far as it came
  }
}

}  // namespace

json::object thinking_block(std::string_view thinking, std::string_view signature) {
  return {{"type", "thinking"}, {"thinking", thinking}, {"signature", signature}};
}

void BlockAnswer::call(std::string id, std::string_view name, const json::object& input) {
  if (is_json_tool(memo_, name)) {
    json_answer_ = json_tool_answer(json::value(input), memo_);
    return;
  }
  choice_.message.tool_calls.push_back({.id = std::move(id),
                                        .name = std::string(name),
                                        .arguments = tessera::to_json(json::value(input))});
}

void BlockAnswer::thought(std::string_view text, json::object block_for_replay) {
  choice_.reasoning_content += text;
  thoughts_.push_back(std::move(block_for_replay));
}

api::ChatChoice BlockAnswer::choice(FinishReason reason) && {
  const bool has_calls = !choice_.message.tool_calls.empty();
  // What stands beside an answer by our tool is no part of the JSON that the client wants.
  if (json_answer_) {
    choice_.message.content = std::move(*json_answer_);
  } else if (!text_.empty() || !has_calls) {
    choice_.message.content = std::move(text_);
  }
  if (!thoughts_.empty()) {
    choice_.thinking_blocks = tessera::to_json(json::value(std::move(thoughts_)));
  }
  choice_.finish_reason = finish_of(reason, has_calls);
  return std::move(choice_);
}

// Whether an answer by our tool will come is known at the end only.
void BlockStream::text(std::string_view piece) {
  if (memo_.json_tool) {
    held_text_ += piece;
  } else {
    out_.text(piece);
  }
}

void BlockStream::open_call(std::int64_t index, std::string id, const std::string& name) {
  Block& block = blocks_[index] = {};
  if (is_json_tool(memo_, name)) {
    block.kind = Block::Kind::kJson;
    json_came_ = true;
  } else {
    block.kind = Block::Kind::kCall;
    block.call = out_.begin_call(std::move(id), name);
  }
}

void BlockStream::whole_input(std::int64_t index, const json::object& object) {
  if (object.empty()) return;
  input(index, tessera::to_json(json::value(object)));
  blocks_[index].complete = true;
}

void BlockStream::input(std::int64_t index, std::string_view json) {
  Block& block = blocks_[index];
  if (json.empty() || block.complete) return;
  if (block.kind == Block::Kind::kCall) {
    out_.arguments(block.call, json);
  } else if (block.kind == Block::Kind::kJson) {
    if (json_tool_streams(memo_)) {
      out_.text(json);
    } else {
      block.text += json;
    }
  } else {
    return;
  }
  block.has_input = true;
}

void BlockStream::thought(std::int64_t index, std::string_view piece) {
  Block& block = blocks_[index];
  block.kind = Block::Kind::kThought;
  block.text += piece;
  out_.reasoning(piece);
}

void BlockStream::signature(std::int64_t index, std::string_view piece) {
  Block& block = blocks_[index];
  block.kind = Block::Kind::kThought;
  block.signature += piece;
}

void BlockStream::hidden_thought(std::int64_t index, json::object block_for_replay) {
  Block& block = blocks_[index];
  block.kind = Block::Kind::kHidden;
  block.whole = std::move(block_for_replay);
}

void BlockStream::close(std::int64_t index) {
  const auto found = blocks_.find(index);
  if (found == blocks_.end()) return;
  const Block block = std::move(found->second);
  blocks_.erase(found);
  switch (block.kind) {
    case Block::Kind::kCall:
      if (!block.has_input) out_.arguments(block.call, "{}");
      break;
    case Block::Kind::kJson:
      if (!block.has_input) {
        out_.text("{}");
      } else if (!json_tool_streams(memo_)) {
        out_.text(unwrapped(block.text, memo_));
      }
      break;
    case Block::Kind::kThought:
      out_.thinking_blocks(to_text(thinking_block(block.text, block.signature)));
      break;
    case Block::Kind::kHidden:
      out_.thinking_blocks(to_text(block.whole));
      break;
    case Block::Kind::kOther:
      break;
  }
}

void BlockStream::finish(FinishReason reason, const api::StringPairs& extra) {
  if (!json_came_) out_.text(held_text_);
  out_.finish(finish_of(reason, out_.calls() > 0));
  if (api::ChatChunkChoice* last = out_.last(); last != nullptr) last->extra = extra;
}

}  // namespace tessera::providers
