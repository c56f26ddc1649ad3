// Anthropic's Messages API in front of any chat model: its requests as ours, our answers as its
// (https://docs.anthropic.com/en/api/messages, …/messages-streaming, …/errors).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/body.h"
#include "api/chat.h"
#include "api/options.h"
#include "api/stream_writer.h"

namespace tessera::api {

// Throws Error as parse_chat_request does; paths in messages are those of the client's body where
// the body itself is wrong.
ChatRequest parse_messages_request(const Body& body, const ParseOptions& options);

// A `message` object. The first choice is told; usage that is missing counts 0.
std::string messages_json(const ChatResponse& response);

// {"type": "error", "error": {"type", "message"}, "request_id"}
std::string messages_error_json(const Error& error, std::string_view request_id);

class MessagesStream final : public ChatStreamWriter {
 public:
  // The id is "msg_" + the suffix. `input_tokens` is told with the first event unless the first
  // chunk knows better; the last event has the real figure.
  MessagesStream(std::string message_id_suffix, std::int64_t input_tokens_estimate);

  std::string write(const ChatChunk& chunk) override;
  std::string finish() override;
  std::string error(const Error& error) override;

 private:
  enum class Block { kNone, kText, kThinking, kTool };

  void start(const ChatChunk& chunk, std::string& out);
  void open(Block kind, std::string_view block, std::string& out);
  void close(std::string& out);
  void delta(int index, std::string_view type, std::string_view field, std::string_view text,
             std::string& out);
  void text(std::string_view piece, std::string& out);
  void thinking(std::string_view piece, std::string& out);
  void thinking_blocks(std::string_view blocks, std::string& out);
  void call(const ToolCallDelta& call, std::string& out);

  std::string id_;
  Usage usage_;
  bool started_ = false;
  Block block_ = Block::kNone;    // what is open
  int index_ = -1;                // of the open block or the last one
  std::vector<int> call_blocks_;  // the block of each call
  std::optional<FinishReason> finish_;
  std::optional<StopReason> stop_;
};

}  // namespace tessera::api
