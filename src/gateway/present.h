// What clients get to see when something fails (data-plane 5.2).
#pragma once

#include <string_view>

#include "api/error_json.h"
#include "base/error.h"
#include "http/message.h"

namespace tessera::gateway {

// Native routes end in /invocations; every other route of the gateway speaks OpenAI's way, but for
// those of Anthropic's Messages, whose errors have its own form.
api::ErrorStyle error_style(std::string_view path);
bool is_messages_route(std::string_view path);

http::Response present_error(const Error& error, const http::Request& request);
std::string present_stream_error(const Error& error, const http::Request& request);

}  // namespace tessera::gateway
