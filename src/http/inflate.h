// Request bodies with Content-Encoding: gzip (RFC 1952).
#pragma once

#include <string>
#include <string_view>

namespace tessera::http {

// Throws Error(kPayloadTooLarge) beyond `max_bytes` and Error(kBadJson, code "bad_http_request")
// when the data are damaged or cut off.
std::string gunzip(std::string_view compressed, std::size_t max_bytes);
std::string gzip(std::string_view bytes);

}  // namespace tessera::http
