// What the translated APIs, Anthropic's Messages and OpenAI's Responses, have in common. Private to
// the room.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "api/chat.h"
#include "base/error.h"

namespace tessera::api {

template <std::size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

// Error(kUnsupportedContent) at `path`.type. `what` is the API's own word: "part", "block".
Error unsupported_content(const std::string& path, std::string_view what, std::string_view type);

// An error about our form of the request, in the client's words: its param begins with `ours`,
// which becomes `theirs` there and in the message.
void rename_param(Error& error, std::string_view ours, std::string_view theirs);

// An id as that API has them: one of a chat answer gets the prefix instead of its own.
std::string with_prefix(std::string_view prefix, std::string_view id);

// The choice that is told, for these APIs have one; an empty one when there is none.
const ChatChoice& first_choice(const ChatResponse& response);

// Calls of a stream from this index on are left out.
inline constexpr int kMaxStreamedCalls = 1024;

// A server-sent event whose data is `json`.
void write_event(std::string& out, std::string_view type, std::string_view json);

}  // namespace tessera::api
