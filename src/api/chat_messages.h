// The messages of a chat (data-plane 2.3; its rules M1–M12). Private to the room.
#pragma once

#include <unordered_set>

#include "api/chat.h"
#include "api/field_table.h"
#include "api/json_writer.h"

namespace tessera::api {

// Reads messages in order; remembers which calls a tool message may answer.
class MessageReader {
 public:
  MessageReader(const ParseOptions& options, std::vector<std::string>& ignored)
      : options_(options), ignored_(ignored) {}

  // Throws Error(kBadMessage | kUnsupportedContent | …), param "messages[3].content".
  ChatMessage read(const json::value& value, std::size_t index);

 private:
  void read_other(std::string_view name, const json::value& value, ChatMessage& message);
  void read_content(const json::object& object, ChatMessage& message) const;
  void read_calls(const json::object& object, ChatMessage& message);
  void read_answered_call(const json::object& object, std::string_view role,
                          ChatMessage& message) const;
  void check(const ChatMessage& message, const std::string& role, std::size_t index) const;

  const ParseOptions& options_;
  std::vector<std::string>& ignored_;
  std::string path_;
  std::unordered_set<std::string> known_ids_;
  std::string legacy_id_;
  int legacy_count_ = 0;
};

void write_message(JsonWriter& w, const ChatMessage& message, const WireOptions& wire);

// Content that is a list of parts: the text of its text parts, and beside it what is told of the
// reasoning. Tolerant, for an upstream's answers.
struct PartsRead {
  std::optional<std::string> content;  // none: no text part
  std::string reasoning_content;
  std::string thinking_blocks;  // the reasoning parts as they came, a JSON array
};
PartsRead read_parts(const json::array& parts);

}  // namespace tessera::api
