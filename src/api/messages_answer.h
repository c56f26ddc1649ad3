// What a `message` and the events of its stream have in common. Private to the room.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/chat.h"
#include "api/json_writer.h"

namespace tessera::api {

std::string message_id(std::string_view id);

// Members stop_reason and stop_sequence. `calls`: tools were called.
void write_stop(JsonWriter& w, std::optional<FinishReason> reason,
                const std::optional<StopReason>& stop, bool calls);
void write_messages_usage(JsonWriter& w, const Usage& usage);

// A block of thinking.
struct Thought {
  std::string text, signature;
  std::string block;  // of another kind: JSON text as it came
};

// A provider's blocks as Anthropic's: its own, and Databricks' "reasoning".
std::vector<Thought> thoughts_of(std::string_view blocks);

// Begun, with its type.
JsonWriter event_object(std::string_view type);

}  // namespace tessera::api
