// Heads as they are written (RFC 9112).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "http/message.h"

namespace tessera::http {

// What the server alone decides about an answer; fields of these names among its headers are left
// out.
struct ResponseHead {
  enum class Body { kNone, kLength, kChunked, kToEnd };

  int status = 200;
  int minor_version = 1;  // of the request: 1.0 has to be told that the connection stays
  bool keep_alive = true;
  Body body = Body::kNone;
  std::size_t content_length = 0;  // with kLength
  std::string_view request_id;
};

void append_response_head(std::string& out, const ResponseHead& head, const Headers& headers);

// A header value that cannot break out of its line: CR, LF and NUL become spaces.
void append_header(std::string& out, std::string_view name, std::string_view value);

}  // namespace tessera::http
