// Outgoing HTTP/1.1 over TCP, TLS or a Unix socket, with pooled keep-alive connections.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "http/address_policy.h"
#include "http/message.h"
#include "http/proxy.h"
#include "http/url.h"

namespace tessera::http {

struct ClientTimeouts {
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds first_byte{300'000};
  std::chrono::milliseconds between_bytes{300'000};
};

struct ClientRequest {
  Origin origin;
  std::string method = "GET";
  std::string target = "/";
  Headers headers;
  std::string body;
  ClientTimeouts timeouts;
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::unique_ptr<BodyStream> body;  // dropping it early closes the connection
};

struct ClientOptions {
  std::string ca_file;                    // PEM, trusted besides the system's authorities
  std::size_t max_idle_per_origin = 256;  // kept open for the next request, on each loop
  std::chrono::milliseconds idle_timeout{30'000};
  std::size_t max_head_bytes = 1u << 20;  // of responses
  // For guarded origins; looked at after the name is resolved, for the address that is connected
  // to. Through a proxy, which resolves names itself, only the name can be looked at.
  AddressPolicy addresses;
  ProxySettings proxy;
  // Senders run on EventLoops: a connection lives, and is used again, on the loop of the one for
  // whom it was made. Else on the Client's executor, which may have several threads.
  bool on_senders_loop = false;
};

// Any thread may send; a response is read by one coroutine at a time. https verifies certificate
// and host name. Timeouts are exact to some 50 ms.
class Client {
 public:
  explicit Client(asio::any_io_executor executor, ClientOptions options = {});
  ~Client();

  // Throws Error(kUpstreamBadGateway) when the connection cannot be made or breaks, and
  // Error(kDeadlineExceeded) when a timeout passes; with code "upstream_unreachable" when no
  // connection was made (name, address, TLS, proxy), so that nothing can have been sent, and
  // "upstream_forbidden" when the address is not allowed. No redirect is followed. A pooled
  // connection that turns out to be closed before the first byte is replaced once, silently.
  // Cancelling the coroutine, or dropping the response's body before its end, closes the
  // connection.
  asio::awaitable<ClientResponse> send(ClientRequest request);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tessera::http
