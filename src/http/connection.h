// One open connection of the client: its bytes, and how their failing is told.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/byte_buffer.h"
#include "http/tls_sessions.h"
#include "http/transport.h"
#include "http/url.h"

namespace tessera::http {

// Guarded requests do not use connections that were made without a look at the address.
inline std::string pool_key(const Origin& origin) {
  std::string key = name_of(origin);
  if (origin.guarded) key += " guarded";
  return key;
}

struct Connection {
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::rep kNever = std::numeric_limits<Clock::rep>::max();

  Connection(Socket socket, const Origin& target);
  ~Connection();

  // A moment to be cut at. Written by the request, read by the watch.
  std::atomic<Clock::rep> deadline{kNever};
  std::atomic<bool> timed_out{false};

  Transport transport;
  std::string origin;  // the name in errors
  std::string key;     // the pool's
  bool local;          // a Unix socket
  std::shared_ptr<TlsSessions> sessions;
  ByteBuffer in;
  Clock::time_point idle_since;
};

// A pooled connection is stale when the peer has closed it or sent what nobody asked for. Our own
// processes on Unix sockets send nothing unasked, and a new connection replaces one they closed.
inline bool is_stale(Connection& connection) {
  if (connection.local) return false;
  char byte;
  ssize_t got =
      ::recv(connection.transport.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got == 0) return true;
  if (got < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
  return connection.transport.tls() == nullptr;  // TLS 1.3 sends session tickets unasked
}

asio::awaitable<boost::system::error_code> write_all(Connection& connection, Gather buffers);
// What has arrived goes to the end of Connection::in.
asio::awaitable<boost::system::error_code> read_some(Connection& connection);

bool is_end(const boost::system::error_code& error);  // of input, with or without TLS's farewell

// "1.5 s"
std::string seconds_text(std::chrono::milliseconds limit);
Error bad_gateway(const std::string& origin, const std::string& reason);
// For `error` of a read or write. `limit`: the one that has passed if the connection was cut.
// Cancelled operations are thrown on as they are.
Error connection_failure(const Connection& connection, const boost::system::error_code& error,
                         std::string_view waited_for, std::chrono::milliseconds limit);

}  // namespace tessera::http
