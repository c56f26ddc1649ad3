// How a `response` and the items of its output are written, by an answer and by a stream. Private
// to the room.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "api/chat.h"
#include "api/json_writer.h"
#include "base/error.h"

namespace tessera::api {

// A response but for its output.
struct ResponseHead {
  std::string_view id;
  std::int64_t created = 0;
  std::string_view model;
  std::string_view status;
  std::optional<FinishReason> finish;
  const Error* error = nullptr;  // none: it did not fail
  std::optional<Usage> usage;
  std::string_view repeated;  // repeated_members()
};
std::string response_object(const ResponseHead& head,
                            const std::function<void(JsonWriter&)>& write_output);

// Members of a response that repeat the request, without braces.
std::string repeated_members(const ChatRequest& request);
// "completed" or "incomplete".
std::string_view status_of(std::optional<FinishReason> reason);
std::string response_id(std::string_view id);
// `response` is the response's id, `number` the place in its output.
std::string item_id(std::string_view prefix, std::string_view response, std::size_t number);

// Items of the output, and the parts of a message. `scores` may be null.
void write_reasoning_item(JsonWriter& w, std::string_view id, std::string_view text);
void write_call_item(JsonWriter& w, std::string_view id, std::string_view status,
                     std::string_view call_id, std::string_view name, std::string_view arguments);
// Its parts follow; the caller ends the array and the object.
JsonWriter& begin_message_item(JsonWriter& w, std::string_view id, std::string_view status);
void write_part(JsonWriter& w, bool refusal, std::string_view text, const ChatLogprobs* scores);

}  // namespace tessera::api
