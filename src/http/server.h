// Accepts connections on TCP (with or without TLS) and Unix sockets and runs a session per
// connection: read head and body under limits, route, answer, again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "http/router.h"

namespace tessera::http {

struct TlsFiles {
  std::string certificate_pem_path, private_key_pem_path;
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free port
  std::string unix_path;      // not empty: listen there instead
  std::optional<TlsFiles> tls;
  std::size_t max_header_bytes = 64u << 10;
  std::chrono::milliseconds header_timeout{60'000};  // also the keep-alive idle time
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds write_timeout{60'000};
  int max_connections = 10'000;
};

class Server {
 public:
  // Binds at once; throws Error(kIo) naming the address. The router must outlive the server.
  Server(asio::any_io_executor executor, const Router& router, ServerOptions options);
  ~Server();

  std::uint16_t port() const;
  void start();
  // New requests get 503 with Retry-After; running ones go on; resolves when none is left or the
  // deadline has passed (the rest is then cut). Returns the number of requests cut.
  asio::awaitable<int> drain(std::chrono::milliseconds deadline);
  int active_requests() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tessera::http
