#include "http/response_body.h"

#include <algorithm>
#include <stdexcept>

namespace tessera::http {

asio::awaitable<std::optional<std::string>> ResponseBody::next() {
  for (;;) {
    if (!connection_) co_return std::nullopt;
    std::string piece = take();
    if (!piece.empty()) co_return piece;
    if (!connection_) co_return std::nullopt;
    set_deadline(connection_, between_bytes_);
    boost::system::error_code error = co_await read_some(*connection_);
    if (!error) continue;
    if (framing_ == Framing::kToEnd && is_end(error) && !connection_->timed_out) {
      connection_.reset();
      co_return std::nullopt;
    }
    Error failure =
        connection_failure(*connection_, error, "the next bytes of the body", between_bytes_);
    connection_.reset();
    throw failure;
  }
}

// What has arrived; finishes when that is the rest.
std::string ResponseBody::take() {
  std::string piece;
  ByteBuffer& in = connection_->in;
  switch (framing_) {
    case Framing::kLength: {
      std::size_t count = std::min<std::uint64_t>(left_, in.size());
      piece.assign(in.view().substr(0, count));
      in.consume(count);
      if ((left_ -= count) == 0) finish();
      break;
    }
    case Framing::kChunked:
      try {
        in.consume(chunks_.feed(in.view(), piece));
      } catch (const std::invalid_argument& e) {
        Error failure = bad_gateway(connection_->origin, e.what());
        connection_.reset();
        throw failure;
      }
      if (chunks_.done()) finish();
      break;
    case Framing::kToEnd:
      piece.assign(in.view());
      in.clear();
      break;
  }
  return piece;
}

void ResponseBody::finish() {
  if (keep_alive_) {
    pool_->give_back(std::move(connection_));
  } else {
    connection_.reset();
  }
}

}  // namespace tessera::http
