#include "http/body_stream.h"

#include "base/error.h"

namespace tessera::http {

Error body_too_large(std::size_t limit) {
  return Error(ErrorKind::kUpstreamBadGateway,
               "The response body is larger than " + std::to_string(limit) + " bytes.");
}

asio::awaitable<std::string> read_all(BodyStream& body, std::size_t limit,
                                      Error (*too_large)(std::size_t limit)) {
  std::string all;
  while (auto piece = co_await body.next()) {
    if (all.size() + piece->size() > limit) throw too_large(limit);
    if (all.empty()) {
      all = std::move(*piece);
    } else {
      all += *piece;
    }
  }
  co_return all;
}

}  // namespace tessera::http
