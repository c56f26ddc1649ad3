// Accepts connections on TCP (with or without TLS) and Unix sockets and runs a session per
// connection: read head and body under limits, route, answer, again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/event_loops.h"
#include "http/router.h"

namespace tessera::http {

struct TlsFiles {
  std::string certificate_pem_path, private_key_pem_path;
};

// What the access log is told after each answer, on the connection's strand: be quick.
struct AccessRecord {
  std::string_view method, path, request_id, peer_ip;
  int status = 0;                                     // 499 when the client left first
  std::size_t request_bytes = 0, response_bytes = 0;  // of the bodies
  std::int64_t duration_us = 0;                       // from the last byte of the request
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free port
  std::string unix_path;      // not empty: listen there instead
  std::optional<TlsFiles> tls;
  std::size_t max_header_bytes = 64u << 10;
  std::chrono::milliseconds header_timeout{60'000};  // also the keep-alive idle time
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds write_timeout{60'000};  // without progress
  // The head of a stream goes out with its first piece, so that an early failure keeps its status;
  // or alone, when the first piece takes longer than this.
  std::chrono::milliseconds stream_head_delay{20'000};
  int max_connections = 10'000;  // further ones get 503
  std::function<void(const AccessRecord&)> access_log;
};

class Server {
 public:
  // Binds at once; throws Error(kIo) naming the address. The router must outlive the server. The
  // destructor cuts what still runs and waits until it has unwound, so it must not be called by a
  // thread that the executor needs for that.
  Server(asio::any_io_executor executor, const Router& router, ServerOptions options);
  // The same with each connection on the loop that has the fewest.
  Server(const EventLoops& loops, const Router& router, ServerOptions options);
  ~Server();

  std::uint16_t port() const;
  void start();
  // New requests get 503 with Retry-After; running ones go on; resolves when none is left or the
  // deadline has passed (the rest is then cut), and every connection is closed. Returns the number
  // of requests cut. Not to be awaited by a handler of this server.
  asio::awaitable<int> drain(std::chrono::milliseconds deadline);
  int active_requests() const;
  // Open ones. For tests: nothing else shows that a client's leaving has been noticed.
  std::size_t connections() const;

 private:
  struct Impl;
  Server(std::vector<asio::any_io_executor> executors, bool strands, const Router& router,
         ServerOptions options);
  std::shared_ptr<Impl> impl_;
};

}  // namespace tessera::http
