// An Error as clients see it (data-plane 5.1, 5.2, 2.9).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tessera::api {

enum class ErrorStyle {
  kDatabricks,  // native routes, control plane: error_code, message, details; no "error" member
  kOpenAi,      // OpenAI routes: the error object and the Databricks members at once
};

std::string error_json(const Error& error, ErrorStyle style, std::string_view request_id = {});

// The payload of the event that ends a broken stream, on every route; after it no [DONE].
std::string stream_error_json(const Error& error);

// An upstream's error body (ours or OpenAI's) back into an Error. Without a usable message the
// first 200 bytes of the body are quoted.
Error parse_error(int http_status, std::string_view body);

// The error that an event of a stream reports, if it is one: any payload with a top-level `error`.
std::optional<Error> parse_stream_error(std::string_view payload);

// Retry-After and retry-after-ms on 429 and 503, x-should-retry: false on 409; lower-case names.
std::vector<std::pair<std::string, std::string>> retry_headers(const Error& error);

}  // namespace tessera::api
