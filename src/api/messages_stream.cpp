// A chat stream as events of the Messages API.
#include "api/messages.h"
#include "api/messages_answer.h"
#include "api/translation.h"

namespace tessera::api {

MessagesStream::MessagesStream(std::string message_id_suffix, std::int64_t input_tokens_estimate)
    : id_(message_id(message_id_suffix)), usage_{.prompt_tokens = input_tokens_estimate} {}

void MessagesStream::start(const ChatChunk& chunk, std::string& out) {
  if (started_) return;
  started_ = true;
  JsonWriter w = event_object("message_start");
  w.key("message").begin_object().member("id", id_).member("type", "message");
  w.member("role", "assistant").member("model", chunk.model);
  w.key("content").begin_array().end_array();
  w.member("stop_reason", nullptr).member("stop_sequence", nullptr);
  write_messages_usage(w, usage_);
  write_event(out, "message_start", w.end_object().end_object().take());
}

void MessagesStream::open(Block kind, std::string_view block, std::string& out) {
  close(out);
  block_ = kind;
  ++index_;
  JsonWriter w = event_object("content_block_start");
  w.member("index", index_).key("content_block").raw(block);
  write_event(out, "content_block_start", w.end_object().take());
}

void MessagesStream::close(std::string& out) {
  if (block_ == Block::kNone) return;
  block_ = Block::kNone;
  JsonWriter w = event_object("content_block_stop");
  write_event(out, "content_block_stop", w.member("index", index_).end_object().take());
}

void MessagesStream::delta(int index, std::string_view type, std::string_view field,
                           std::string_view text, std::string& out) {
  JsonWriter w = event_object("content_block_delta");
  w.member("index", index).key("delta").begin_object();
  w.member("type", type).member(field, text).end_object();
  write_event(out, "content_block_delta", w.end_object().take());
}

void MessagesStream::text(std::string_view piece, std::string& out) {
  if (piece.empty()) return;
  if (block_ != Block::kText) open(Block::kText, R"({"type":"text","text":""})", out);
  delta(index_, "text_delta", "text", piece, out);
}

void MessagesStream::thinking(std::string_view piece, std::string& out) {
  if (piece.empty()) return;
  if (block_ != Block::kThinking) {
    open(Block::kThinking, R"({"type":"thinking","thinking":"","signature":""})", out);
  }
  delta(index_, "thinking_delta", "thinking", piece, out);
}

// They come when their text has been told: only the signature is news then.
void MessagesStream::thinking_blocks(std::string_view blocks, std::string& out) {
  for (const Thought& thought : thoughts_of(blocks)) {
    if (!thought.block.empty()) {
      open(Block::kThinking, thought.block, out);
      close(out);
      continue;
    }
    if (block_ != Block::kThinking) thinking(thought.text, out);
    if (block_ == Block::kThinking && !thought.signature.empty()) {
      delta(index_, "signature_delta", "signature", thought.signature, out);
      close(out);
    }
  }
}

void MessagesStream::call(const ToolCallDelta& call, std::string& out) {
  if (call.index < 0 || call.index >= kMaxStreamedCalls) return;
  const auto number = static_cast<std::size_t>(call.index);
  if (call_blocks_.size() <= number) call_blocks_.resize(number + 1, -1);
  if (call_blocks_[number] < 0) {
    JsonWriter w(96);
    w.begin_object().member("type", "tool_use").member("id", call.id).member("name", call.name);
    w.key("input").begin_object().end_object();
    open(Block::kTool, w.end_object().take(), out);
    call_blocks_[number] = index_;
  }
  if (call.arguments.empty()) return;
  delta(call_blocks_[number], "input_json_delta", "partial_json", call.arguments, out);
}

std::string MessagesStream::write(const ChatChunk& chunk) {
  std::string out;
  if (chunk.usage) usage_ = *chunk.usage;
  start(chunk, out);
  for (const ChatChunkChoice& choice : chunk.choices) {
    if (choice.index != 0) continue;
    thinking(choice.delta.reasoning_content.value_or(""), out);
    thinking_blocks(choice.delta.thinking_blocks, out);
    text(choice.delta.content.value_or(""), out);
    text(choice.delta.refusal.value_or(""), out);
    for (const ToolCallDelta& piece : choice.delta.tool_calls) call(piece, out);
    if (choice.finish_reason) finish_ = choice.finish_reason;
    if (choice.stop_reason) stop_ = choice.stop_reason;
  }
  return out;
}

std::string MessagesStream::finish() {
  std::string out;
  start({}, out);
  close(out);
  JsonWriter w = event_object("message_delta");
  write_stop(w.key("delta").begin_object(), finish_, stop_, !call_blocks_.empty());
  write_messages_usage(w.end_object(), usage_);
  write_event(out, "message_delta", w.end_object().take());
  write_event(out, "message_stop", R"({"type":"message_stop"})");
  return out;
}

std::string MessagesStream::error(const Error& error) {
  std::string out;
  write_event(out, "error", messages_error_json(error, {}));
  return out;
}

}  // namespace tessera::api
