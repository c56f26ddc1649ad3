// A body as something awaited. The owner pulls; dropping the stream cancels what feeds it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <optional>
#include <string>

namespace tessera {
struct Error;
}

namespace tessera::http {

namespace asio = boost::asio;

class BodyStream {
 public:
  virtual ~BodyStream() = default;
  // The next piece, or nullopt at the end. Throws Error. Not called again after either.
  virtual asio::awaitable<std::optional<std::string>> next() = 0;
};

Error body_too_large(std::size_t limit);  // kUpstreamBadGateway
// Reads to the end; beyond `limit` bytes throws what `too_large` makes.
asio::awaitable<std::string> read_all(BodyStream& body, std::size_t limit,
                                      Error (*too_large)(std::size_t limit) = body_too_large);

}  // namespace tessera::http
