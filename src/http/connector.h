// Makes the client's connections: resolves the name, looks at the address, goes through the proxy,
// greets with TLS. Any thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "http/client.h"
#include "http/connection.h"

namespace tessera::http {

class Connector {
 public:
  // `options` outlive this. Connections live on the sender's loop, or on strands of `executor`.
  Connector(asio::any_io_executor executor, const ClientOptions& options)
      : executor_(std::move(executor)), options_(options) {}

  // Throws as Client::send() does when no connection can be made in time.
  asio::awaitable<std::unique_ptr<Connection>> connect(Origin origin,
                                                       std::chrono::milliseconds limit);

 private:
  asio::awaitable<std::unique_ptr<Connection>> open(Origin origin);
  asio::awaitable<Socket> connect_socket(Origin origin, Origin target);
  asio::awaitable<void> greet_tls(Connection& connection, Origin origin);
  asio::ssl::context& tls_context();

  const asio::any_io_executor executor_;
  const ClientOptions& options_;
  std::once_flag tls_once_;
  std::optional<asio::ssl::context> tls_;
  const std::shared_ptr<TlsSessions> sessions_ = std::make_shared<TlsSessions>();
};

}  // namespace tessera::http
