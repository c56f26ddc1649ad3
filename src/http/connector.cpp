#include "http/connector.h"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <cstring>
#include <vector>

#include "http/timeout.h"
#include "http/tls.h"
#include "http/wire.h"
#include "http/write_head.h"

namespace tessera::http {
namespace {

using Protocol = asio::generic::stream_protocol;
using ErrorCode = boost::system::error_code;

constexpr std::size_t kMaxTunnelHead = 64u << 10;

bool is_ip(const std::string& host) {
  ErrorCode error;
  asio::ip::make_address(host, error);
  return !error;
}

asio::ip::address address_of(const Protocol::endpoint& endpoint) {
  asio::ip::tcp::endpoint tcp;
  tcp.resize(endpoint.size());
  std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
  return tcp.address();
}

Error forbidden(const Origin& origin) {
  Error error = bad_gateway(name_of(origin),
                            "the host is not a public one, and 'allow_private_upstreams' does "
                            "not name it");
  error.code = "upstream_forbidden";
  return error;
}

// The resolver's thread cannot be interrupted, so we wait for a timer that its answer cancels.
asio::awaitable<std::vector<Protocol::endpoint>> resolve(Origin origin,
                                                         std::chrono::milliseconds limit) {
  struct Answer {
    explicit Answer(asio::any_io_executor executor) : resolver(executor), timer(executor) {}
    asio::ip::tcp::resolver resolver;
    asio::steady_timer timer;
    bool done = false;
    ErrorCode error;
    std::vector<Protocol::endpoint> endpoints;
  };
  auto executor = co_await asio::this_coro::executor;  // a strand, see connect()
  auto answer = std::make_shared<Answer>(executor);
  answer->timer.expires_after(limit);
  answer->resolver.async_resolve(
      origin.host, std::to_string(origin.port),
      asio::bind_executor(executor, [answer](const ErrorCode& error, auto results) {
        answer->done = true;
        answer->error = error;
        for (const auto& entry : results) answer->endpoints.push_back(entry.endpoint());
        answer->timer.cancel();
      }));
  ErrorCode ignored;
  co_await answer->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (!answer->done) {
    throw Error(ErrorKind::kDeadlineExceeded, "Upstream " + name_of(origin) +
                                                  ": the name was not resolved in " +
                                                  seconds_text(limit) + ".");
  }
  if (answer->error) {
    throw bad_gateway(name_of(origin), "cannot resolve the name: " + answer->error.message());
  }
  co_return std::move(answer->endpoints);
}

// RFC 9110, 9.3.6. The caller has the time limit.
asio::awaitable<void> open_tunnel(Connection& connection, Origin origin, const Proxy& proxy) {
  const bool v6 = origin.host.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + origin.host + "]" : origin.host;
  const std::string authority = host + ":" + std::to_string(origin.port);
  std::string head = "CONNECT " + authority + " HTTP/1.1\r\nhost: " + authority + "\r\n";
  if (!proxy.authorization.empty()) append_header(head, "proxy-authorization", proxy.authorization);
  head += "\r\n";
  ErrorCode error = co_await write_all(connection, gather(head));
  std::size_t scanned = 0;
  std::optional<std::size_t> end;
  while (!error && !(end = find_head_end(connection.in.view(), scanned))) {
    if (connection.in.size() > kMaxTunnelHead) {
      throw bad_gateway(connection.origin, "the proxy's answer to CONNECT is too large");
    }
    error = co_await read_some(connection);
  }
  if (error) throw bad_gateway(connection.origin, "the proxy closed the connection");
  const int status = parse_response_head(connection.in.view().substr(0, *end)).status;
  if (status / 100 != 2) {
    throw bad_gateway(connection.origin,
                      "the proxy refused the connection with status " + std::to_string(status));
  }
  connection.in.consume(*end);
  if (!connection.in.empty()) {
    throw bad_gateway(connection.origin, "the proxy sent bytes before the upstream was asked");
  }
}

}  // namespace

asio::awaitable<std::unique_ptr<Connection>> Connector::connect(Origin origin,
                                                                std::chrono::milliseconds limit) {
  std::string what =
      "Upstream " + name_of(origin) + ": no connection in " + seconds_text(limit) + ".";
  try {
    // On the sender's loop, or on a strand of its own: the sender may run on a bare pool.
    asio::any_io_executor own = co_await asio::this_coro::executor;
    if (!options_.on_senders_loop) own = asio::make_strand(executor_);
    auto connection = co_await asio::co_spawn(
        std::move(own), with_timeout(limit, open(std::move(origin)), std::move(what)),
        asio::use_awaitable);
    co_return connection;
  } catch (const Error& error) {
    Error unreachable = error;
    if (unreachable.code.empty()) unreachable.code = "upstream_unreachable";
    throw unreachable;
  }
}

asio::awaitable<std::unique_ptr<Connection>> Connector::open(Origin origin) {
  const Proxy* proxy = options_.proxy.choose(origin);
  Origin first = origin;
  if (proxy != nullptr) {
    if (origin.guarded && !options_.addresses.allows_name(origin.host)) throw forbidden(origin);
    first = Origin{.scheme = "http", .host = proxy->host, .port = proxy->port};
  }
  Socket socket = co_await connect_socket(first, origin);
  auto connection = std::make_unique<Connection>(std::move(socket), origin);
  if (origin.scheme == "https") {
    if (proxy != nullptr) co_await open_tunnel(*connection, origin, *proxy);
    co_await greet_tls(*connection, origin);
  }
  co_return connection;
}

// To `origin`, which is the target itself or the proxy on the way to it.
asio::awaitable<Socket> Connector::connect_socket(Origin origin, Origin target) {
  std::vector<Protocol::endpoint> endpoints;
  ErrorCode error;
  if (!origin.unix_path.empty()) {
    try {
      endpoints.push_back(asio::local::stream_protocol::endpoint(origin.unix_path));
    } catch (const boost::system::system_error& e) {
      throw bad_gateway(name_of(origin), e.code().message());
    }
  } else if (auto address = asio::ip::make_address(origin.host, error); !error) {
    endpoints.push_back(asio::ip::tcp::endpoint(address, origin.port));
  } else {
    endpoints = co_await resolve(origin, std::chrono::hours(1));  // the caller has the limit
  }
  if (origin.guarded && origin.unix_path.empty()) {
    std::vector<Protocol::endpoint> allowed;
    for (const auto& endpoint : endpoints) {
      if (options_.addresses.allows(origin.host, address_of(endpoint))) allowed.push_back(endpoint);
    }
    if (allowed.empty()) throw forbidden(origin);
    endpoints = std::move(allowed);
  }
  const auto here = co_await asio::this_coro::executor;  // a strand, see connect()
  Socket socket(here);
  for (const auto& endpoint : endpoints) {
    socket = Socket(here);
    error = {};
    co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    if (!error) break;
  }
  if (error) {
    std::string way = name_of(origin) == name_of(target) ? "" : " to the proxy " + name_of(origin);
    throw bad_gateway(name_of(target), "cannot connect" + way + ": " + error.message());
  }
  ErrorCode ignored;
  if (origin.unix_path.empty()) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.non_blocking(true, ignored);
  co_return socket;
}

asio::awaitable<void> Connector::greet_tls(Connection& connection, Origin origin) {
  ErrorCode error, ignored;
  connection.transport.enable_tls(tls_context());
  auto& tls = *connection.transport.tls();
  SSL* ssl = tls.native_handle();
  connection.sessions = sessions_;
  sessions_->resume(ssl, connection.key);
  if (!is_ip(origin.host)) SSL_set_tlsext_host_name(ssl, origin.host.c_str());
  tls.set_verify_callback(asio::ssl::host_name_verification(origin.host), ignored);
  co_await tls.async_handshake(asio::ssl::stream_base::client,
                               asio::redirect_error(asio::use_awaitable, error));
  if (!error) co_return;
  std::string reason = error.message();
  if (long verify = SSL_get_verify_result(ssl); verify != X509_V_OK) {
    reason = X509_verify_cert_error_string(verify);
  }
  throw bad_gateway(connection.origin, "TLS handshake failed: " + reason);
}

asio::ssl::context& Connector::tls_context() {
  std::call_once(tls_once_, [this] {
    tls_.emplace(make_client_tls(options_.ca_file));
    TlsSessions::collect_from(tls_->native_handle());
  });
  return *tls_;
}

}  // namespace tessera::http
