// Structured output from models that have only tools: a private tool whose input is the answer
// (external-providers 6.7). Private to the room.
#pragma once

#include <string>
#include <string_view>

#include "api/chat.h"
#include "base/json.h"
#include "providers/provider.h"

namespace tessera::providers {

inline constexpr std::string_view kJsonTool = "json_response__";

// The tool's parameters for the format asked for, an object schema: any object for json_object; a
// schema of something else becomes {"value": …}, told in the memo. Sets memo.json_tool.
json::object json_tool_schema(const api::ResponseFormat& format, Memo& memo);
inline constexpr std::string_view kJsonToolDescription =
    "Gives the answer to the user, in the form that was asked for.";

// True for the call that is the answer.
inline bool is_json_tool(const Memo& memo, std::string_view name) {
  return memo.json_tool && name == kJsonTool;
}
// The answer's text from the call's arguments, unwrapped where the schema was.
std::string json_tool_answer(const json::value& arguments, const Memo& memo);
// True when the answer can go on as the arguments come, piece by piece.
bool json_tool_streams(const Memo& memo);

// A client's own tool must not have that name: Error(kBadValue).
void check_tool_names(const api::ChatRequest& request);

}  // namespace tessera::providers
