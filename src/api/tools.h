// Functions that a model may call and the form its answer must have (data-plane 3.1, 3.2, 4.1).
// Private to the room.
#pragma once

#include "api/chat.h"
#include "api/field_table.h"
#include "api/json_writer.h"

namespace tessera::api {

// Everything of a request that speaks about tools, until the last member is read.
struct ToolReading {
  std::optional<std::vector<Tool>> tools;
  std::optional<ToolChoice> choice;
  std::vector<std::string> allowed;  // names that "allowed_tools" leaves
  bool legacy = false;               // `functions`
  bool legacy_choice = false;        // `function_call`
};

void read_tools(ToolReading& r, const json::value& value, const Reading& at);
void read_functions(ToolReading& r, const json::value& value, const Reading& at);
void read_tool_choice(ToolReading& r, const json::value& value, const Reading& at);
void read_function_call(ToolReading& r, const json::value& value, const Reading& at);
// Checks between them; fills in the request's tools and choice.
void finish_tools(ToolReading reading, ChatRequest& request);

std::optional<ResponseFormat> read_response_format(const json::value& value, const Reading& at);

std::string_view to_string(ToolChoice::Mode mode);  // "auto", "none", "required", "function"
void write_tools(JsonWriter& w, const ChatRequest& request);
void write_response_format(JsonWriter& w, const ResponseFormat& format);
// `tool_calls` of a message; nothing when there are none.
void write_tool_calls(JsonWriter& w, const std::vector<ToolCall>& calls);

}  // namespace tessera::api
