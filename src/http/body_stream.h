// A body as something awaited. The owner pulls; dropping the stream cancels what feeds it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

namespace tessera::http {

namespace asio = boost::asio;

class BodyStream {
 public:
  virtual ~BodyStream() = default;
  // The next piece, or nullopt at the end. Throws Error. Not called again after either.
  virtual asio::awaitable<std::optional<std::string>> next() = 0;
};

// Reads to the end; throws Error(kUpstreamBadGateway) beyond `limit` bytes.
asio::awaitable<std::string> read_all(BodyStream& body, std::size_t limit);

}  // namespace tessera::http
