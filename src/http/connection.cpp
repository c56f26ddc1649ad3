#include "http/connection.h"

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/strings.h"

namespace tessera::http {
namespace {

using ErrorCode = boost::system::error_code;

constexpr std::size_t kReadSize = 16u << 10;

}  // namespace

Connection::Connection(Socket socket, const Origin& target)
    : transport(std::move(socket)),
      origin(name_of(target)),
      key(pool_key(target)),
      local(!target.unix_path.empty()) {}

Connection::~Connection() {
  // OpenSSL takes a session for spoilt whose connection ends without a farewell; ours mostly do.
  if (auto* tls = transport.tls()) {
    SSL_set_shutdown(tls->native_handle(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
}

asio::awaitable<ErrorCode> write_all(Connection& connection, Gather buffers) {
  ErrorCode error;
  while (total_size(buffers) > 0 && !error) {
    std::size_t done = co_await connection.transport.async_write_some(
        buffers, asio::redirect_error(asio::use_awaitable, error));
    advance(buffers, done);
  }
  co_return error;
}

asio::awaitable<ErrorCode> read_some(Connection& connection) {
  ErrorCode error;
  char* place = connection.in.prepare(kReadSize);
  std::size_t count = co_await connection.transport.async_read_some(
      asio::mutable_buffer(place, kReadSize), asio::redirect_error(asio::use_awaitable, error));
  connection.in.commit(count);
  co_return error;
}

bool is_end(const ErrorCode& error) {
  return error == asio::error::eof || error == asio::ssl::error::stream_truncated;
}

std::string seconds_text(std::chrono::milliseconds limit) {
  std::string text;
  append_double(text, static_cast<double>(limit.count()) / 1000.0);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + " s";
}

Error bad_gateway(const std::string& origin, const std::string& reason) {
  return Error(ErrorKind::kUpstreamBadGateway, "Upstream " + origin + ": " + reason);
}

Error connection_failure(const Connection& connection, const ErrorCode& error,
                         std::string_view waited_for, std::chrono::milliseconds limit) {
  const std::string awaited(waited_for);
  if (connection.timed_out) {
    return Error(ErrorKind::kDeadlineExceeded, "Upstream " + connection.origin + ": " + awaited +
                                                   " did not come in " + seconds_text(limit) + ".");
  }
  if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
  return bad_gateway(connection.origin, is_end(error)
                                            ? "the connection was closed before " + awaited
                                            : error.message() + " while waiting for " + awaited);
}

}  // namespace tessera::http
