// HTTP/1.1 as bytes (RFC 9112), read strictly: whatever two parsers could understand differently is
// refused, so that no request hides behind another. Pure functions; used by session and client.
// What is written has its own file, write_head.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/message.h"

namespace tessera::http {

struct MessageHead {
  std::string method, target;  // of requests
  int status = 0;              // of responses
  int minor_version = 1;       // HTTP/1.0 or HTTP/1.1
  Headers headers;
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
  bool keep_alive = true;
};

// Finds the end of a head in a growing buffer. Returns the length with the blank line, or nullopt
// when it is not yet whole; `scanned` (start with 0) remembers how far earlier calls have looked.
std::optional<std::size_t> find_head_end(std::string_view buffer, std::size_t& scanned);

// `head` is as found above. Requests throw Error(kBadJson, code "bad_http_request") or, for an
// unknown transfer coding, Error(kNotImplemented); responses throw Error(kUpstreamBadGateway).
MessageHead parse_request_head(std::string_view head);
// False for a first byte that no request has, such as that of a TLS greeting.
bool can_begin_request(char c);
MessageHead parse_response_head(std::string_view head);

// Splits "/a/b?x=1" or "http://host/a/b?x=1" at the question mark, without scheme and host.
std::pair<std::string_view, std::string_view> split_target(std::string_view target);
// "a=1&b=%20" in order, decoded; throws Error(kBadValue) for a malformed escape.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

// Takes a chunked body apart. Extensions and trailers are skipped.
class ChunkDecoder {
 public:
  // Consumes what it can of `bytes`, appends the body to `out` and returns how many were consumed
  // (all, unless done() has become true). Throws std::invalid_argument at the first byte that does
  // not fit, and when lines grow beyond 16 KiB.
  std::size_t feed(std::string_view bytes, std::string& out);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kTrailerLf,
    kDone
  };
  State state_ = State::kSize;
  std::uint64_t left_ = 0;      // of the chunk
  int digits_ = 0;              // of the size read so far
  std::size_t line_bytes_ = 0;  // of extension or trailers
  bool line_empty_ = true;      // of the current trailer line
};

}  // namespace tessera::http
