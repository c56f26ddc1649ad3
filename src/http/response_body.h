// The body of a response; gives the connection back at its end, or closes it when dropped earlier.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "http/body_stream.h"
#include "http/connection_pool.h"
#include "http/wire.h"

namespace tessera::http {

class ResponseBody : public BodyStream {
 public:
  // `no_body`: whatever the head says (RFC 9112, 6.3).
  ResponseBody(std::shared_ptr<ConnectionPool> pool, WatchedConnection connection,
               const MessageHead& head, bool no_body, std::chrono::milliseconds between_bytes)
      : pool_(std::move(pool)),
        connection_(std::move(connection)),
        keep_alive_(head.keep_alive),
        between_bytes_(between_bytes) {
    if (no_body) {
      framing_ = Framing::kLength;
    } else if (head.chunked) {
      framing_ = Framing::kChunked;
    } else if (head.content_length) {
      framing_ = Framing::kLength;
      left_ = *head.content_length;
    } else {
      framing_ = Framing::kToEnd;
      keep_alive_ = false;
    }
    if (framing_ == Framing::kLength && left_ == 0) finish();
  }

  asio::awaitable<std::optional<std::string>> next() override;

 private:
  enum class Framing { kLength, kChunked, kToEnd };

  std::string take();
  void finish();

  std::shared_ptr<ConnectionPool> pool_;
  WatchedConnection connection_;  // null at the end
  bool keep_alive_;
  std::chrono::milliseconds between_bytes_;
  Framing framing_;
  std::uint64_t left_ = 0;
  ChunkDecoder chunks_;
};

}  // namespace tessera::http
