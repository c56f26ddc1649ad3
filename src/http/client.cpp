#include "http/client.h"

#include <optional>

#include "base/error.h"
#include "base/strings.h"
#include "http/connection_pool.h"
#include "http/connector.h"
#include "http/response_body.h"
#include "http/wire.h"
#include "http/write_head.h"

namespace tessera::http {
namespace {

using ErrorCode = boost::system::error_code;

// The head of the request; framing and connection are ours to decide. `proxy`: plain HTTP through
// it (RFC 9112, 3.2.2).
std::string request_head(const ClientRequest& request, const Proxy* proxy) {
  for (char c : request.target) {
    if (c <= ' ' && c >= 0) {
      throw Error(ErrorKind::kBadValue,
                  "Invalid request target " + quote_for_message(request.target) + ".");
    }
  }
  std::string out;
  out.reserve(512);
  out.append(request.method).append(" ");
  if (proxy != nullptr) out.append("http://").append(host_header(request.origin));
  out.append(request.target).append(" HTTP/1.1\r\n");
  if (proxy != nullptr && !proxy->authorization.empty()) {
    append_header(out, "proxy-authorization", proxy->authorization);
  }
  if (!request.headers.get("host")) append_header(out, "host", host_header(request.origin));
  for (const auto& [name, value] : request.headers) {
    if (iequals(name, "content-length") || iequals(name, "transfer-encoding") ||
        iequals(name, "connection") || iequals(name, "proxy-authorization")) {
      continue;
    }
    append_header(out, name, value);
  }
  if (!request.headers.get("user-agent")) out.append("user-agent: tessera\r\n");
  bool body_expected =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (body_expected || !request.body.empty()) {
    out.append("content-length: ").append(std::to_string(request.body.size())).append("\r\n");
  }
  return out.append("\r\n");
}

// One exchange on an open connection, up to the response's head.
struct Outcome {
  MessageHead head;
  bool before_first_byte = false;  // it failed, and nothing had come back
  std::optional<Error> failure;
};

asio::awaitable<Outcome> exchange(Connection& connection, const std::string& head,
                                  std::string_view body, const ClientTimeouts& timeouts,
                                  std::size_t max_head_bytes) {
  constexpr std::string_view kWaitedFor = "the first byte of the response";
  Outcome outcome;
  Gather out = gather(head, body);
  ErrorCode write_error;
  if (!connection.transport.write_at_once(out)) write_error = co_await write_all(connection, out);
  // A server may answer, and close, before it has read everything: look for that answer first.
  std::size_t scanned = 0;
  for (;;) {
    if (auto end = find_head_end(connection.in.view(), scanned)) {
      outcome.head = parse_response_head(connection.in.view().substr(0, *end));
      connection.in.consume(*end);
      scanned = 0;
      bool interim = outcome.head.status / 100 == 1 && outcome.head.status != 101;
      if (!interim) break;
      continue;
    }
    if (connection.in.size() > max_head_bytes) {
      throw bad_gateway(connection.origin, "the response head is larger than " +
                                               std::to_string(max_head_bytes) + " bytes");
    }
    ErrorCode error = co_await read_some(connection);
    if (error) {
      outcome.before_first_byte = connection.in.empty() && !connection.timed_out;
      outcome.failure = connection_failure(connection, write_error ? write_error : error,
                                           kWaitedFor, timeouts.first_byte);
      co_return outcome;
    }
  }
  if (write_error) outcome.head.keep_alive = false;
  co_return outcome;
}

}  // namespace

struct Client::Impl {
  Impl(const asio::any_io_executor& executor, ClientOptions given)
      : options(std::move(given)),
        connector(executor, options),
        watch(std::make_shared<ConnectionWatch>(executor)),
        pool(std::make_shared<ConnectionPool>(options)) {}

  const ClientOptions options;
  Connector connector;
  // Both go on while a response of theirs is read, whatever becomes of the Client.
  const std::shared_ptr<ConnectionWatch> watch;
  const std::shared_ptr<ConnectionPool> pool;
};

Client::Client(asio::any_io_executor executor, ClientOptions options)
    : impl_(std::make_shared<Impl>(executor, std::move(options))) {}

Client::~Client() { impl_->pool->close(); }

asio::awaitable<ClientResponse> Client::send(ClientRequest request) {
  auto impl = impl_;
  const Proxy* proxy = impl->options.proxy.choose(request.origin);
  if (request.origin.scheme == "https") proxy = nullptr;  // a tunnel: the upstream reads the head
  std::string head = request_head(request, proxy);
  std::string_view body = request.body;
  if (body.size() <= kJoined) {
    head += body;
    body = {};
  }
  const auto here = co_await asio::this_coro::executor;
  WatchedConnection connection = impl->pool->checkout(here, pool_key(request.origin));
  for (bool reused = connection != nullptr;; reused = false) {
    if (!connection) {
      auto made = co_await impl->connector.connect(request.origin, request.timeouts.connect);
      connection = impl->watch->adopt(std::move(made));
    }
    set_deadline(connection, request.timeouts.first_byte);
    Outcome outcome =
        co_await exchange(*connection, head, body, request.timeouts, impl->options.max_head_bytes);
    if (outcome.failure) {
      connection.reset();
      if (reused && outcome.before_first_byte) continue;
      throw *outcome.failure;
    }
    connection->deadline = Connection::kNever;
    ClientResponse response;
    response.status = outcome.head.status;
    bool no_body = request.method == "HEAD" || response.status / 100 == 1 ||
                   response.status == 204 || response.status == 304;
    response.body = std::make_unique<ResponseBody>(impl->pool, std::move(connection), outcome.head,
                                                   no_body, request.timeouts.between_bytes);
    response.headers = std::move(outcome.head.headers);
    co_return response;
  }
}

}  // namespace tessera::http
