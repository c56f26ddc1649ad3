// A connected byte stream: TCP or Unix socket, bare or under TLS. Not thread-safe; one read and one
// write may be under way at a time.
#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "http/body_stream.h"

namespace tessera::http {

using Socket = asio::generic::stream_protocol::socket;
using Gather = std::array<asio::const_buffer, 4>;  // unused places are empty

// A body up to this size goes into the buffer of its head: one copied buffer costs the system less
// than two.
constexpr std::size_t kJoined = 2u << 10;

// A function, because g++ 12 cannot initialise such an array inside a co_await expression.
inline Gather gather(std::string_view a, std::string_view b = {}, std::string_view c = {},
                     std::string_view d = {}) {
  return {asio::const_buffer(a.data(), a.size()), asio::const_buffer(b.data(), b.size()),
          asio::const_buffer(c.data(), c.size()), asio::const_buffer(d.data(), d.size())};
}

inline std::size_t total_size(const Gather& buffers) {
  std::size_t total = 0;
  for (const auto& buffer : buffers) total += buffer.size();
  return total;
}

inline void advance(Gather& buffers, std::size_t count) {
  for (auto& buffer : buffers) {
    std::size_t part = std::min(count, buffer.size());
    buffer += part;
    count -= part;
  }
}

class Transport {
 public:
  using Tls = asio::ssl::stream<Socket&>;

  explicit Transport(Socket socket) : socket_(std::move(socket)) {}
  // The TLS stream refers to the socket beside it.
  Transport(Transport&&) = delete;

  void enable_tls(asio::ssl::context& context) { tls_.emplace(socket_, context); }

  Socket& socket() { return socket_; }
  Tls* tls() { return tls_ ? &*tls_ : nullptr; }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Token>(token));
    return socket_.async_read_some(buffers, std::forward<Token>(token));
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Token>(token));
    return socket_.async_write_some(buffers, std::forward<Token>(token));
  }

  // Writes what a bare socket takes at once, which saves a trip through the scheduler, and leaves
  // the rest in `buffers`; true when nothing is left. The socket must be non-blocking. A broken
  // connection shows at the asynchronous write that follows.
  bool write_at_once(Gather& buffers) {
    if (tls_) return false;
    boost::system::error_code error;
    const std::size_t total = total_size(buffers);
    const bool one = total == buffers.front().size();
    std::size_t written =
        one ? socket_.write_some(buffers.front(), error) : socket_.write_some(buffers, error);
    if (error) return false;
    if (written == total) return true;
    advance(buffers, written);
    return false;
  }

  void close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  Socket socket_;
  std::optional<Tls> tls_;
};

}  // namespace tessera::http
