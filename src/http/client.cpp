#include "http/client.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <cstring>
#include <iterator>
#include <list>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

#include "base/error.h"
#include "base/strings.h"
#include "http/byte_buffer.h"
#include "http/timeout.h"
#include "http/tls.h"
#include "http/transport.h"
#include "http/wire.h"

namespace tessera::http {
namespace {

using Clock = std::chrono::steady_clock;
using Protocol = asio::generic::stream_protocol;
using ErrorCode = boost::system::error_code;

constexpr std::size_t kReadSize = 16u << 10;
constexpr std::size_t kMaxTunnelHead = 64u << 10;
constexpr std::chrono::milliseconds kWatchTick{50};
constexpr Clock::rep kNever = std::numeric_limits<Clock::rep>::max();

std::string name_of(const Origin& origin) {
  if (!origin.unix_path.empty()) return "unix:" + origin.unix_path;
  return origin.scheme + "://" + origin.host + ":" + std::to_string(origin.port);
}

Error bad_gateway(const std::string& origin, const std::string& reason) {
  return Error(ErrorKind::kUpstreamBadGateway, "Upstream " + origin + ": " + reason);
}

std::string seconds(std::chrono::milliseconds limit) {
  std::string text;
  append_double(text, static_cast<double>(limit.count()) / 1000.0);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + " s";
}

bool is_ip(const std::string& host) {
  ErrorCode error;
  asio::ip::make_address(host, error);
  return !error;
}

// Guarded requests do not use connections that were made without a look at the address.
std::string pool_key(const Origin& origin) {
  std::string key = name_of(origin);
  if (origin.guarded) key += " guarded";
  return key;
}

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

// TLS sessions by origin, so that the next connection there needs no full handshake.
class TlsSessions {
 public:
  ~TlsSessions() {
    for (auto& [key, session] : sessions_) SSL_SESSION_free(session);
  }
  void keep(const std::string& key, SSL_SESSION* session) {  // takes the reference
    std::lock_guard lock(mutex_);
    if (sessions_.size() >= kMostSessions && !sessions_.contains(key)) {
      SSL_SESSION_free(sessions_.begin()->second);
      sessions_.erase(sessions_.begin());
    }
    SSL_SESSION*& place = sessions_[key];
    if (place != nullptr) SSL_SESSION_free(place);
    place = session;
  }
  void offer(const std::string& key, SSL* tls) {
    std::lock_guard lock(mutex_);
    const auto found = sessions_.find(key);
    if (found != sessions_.end()) SSL_set_session(tls, found->second);
  }

 private:
  static constexpr std::size_t kMostSessions = 1024;
  std::mutex mutex_;  // guards sessions_
  std::unordered_map<std::string, SSL_SESSION*> sessions_;
};

// An open connection; watched (Client::Impl::watch) from its making to its end.
struct Connection {
  Connection(Socket socket, const Origin& target)
      : transport(std::move(socket)),
        origin(name_of(target)),
        key(pool_key(target)),
        local(!target.unix_path.empty()) {}
  ~Connection() {
    // OpenSSL takes a session for spoilt whose connection ends without a farewell; ours mostly do.
    if (auto* tls = transport.tls()) {
      SSL_set_shutdown(tls->native_handle(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
  }

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

// Where an SSL keeps its Connection; its application data belongs to Asio.
int connection_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// A pooled connection is stale when the peer has closed it or sent what nobody asked for. Our own
// processes on Unix sockets send nothing unasked, and a new connection replaces one they closed.
bool is_stale(Connection& connection) {
  if (connection.local) return false;
  char byte;
  ssize_t got =
      ::recv(connection.transport.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got == 0) return true;
  if (got < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
  return connection.transport.tls() == nullptr;  // TLS 1.3 sends session tickets unasked
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

struct Client::Impl : std::enable_shared_from_this<Impl> {
  // Unregisters before the descriptor is closed, so the watch never touches one of somebody else.
  struct Unwatch {
    std::shared_ptr<Impl> impl;
    std::list<Connection*>::iterator place;
    void operator()(Connection* connection) const {
      {
        std::lock_guard lock(impl->watch_mutex);
        impl->watched.erase(place);
      }
      delete connection;
    }
  };
  using ConnectionPtr = std::unique_ptr<Connection, Unwatch>;
  class Body;

  Impl(asio::any_io_executor executor, ClientOptions options)
      : executor(executor), options(std::move(options)), watch_timer(executor) {}

  using Pool = std::unordered_map<std::string, std::vector<ConnectionPtr>>;  // youngest last

  const void* loop_of(const asio::any_io_executor& sender) const;
  ConnectionPtr checkout(const void* loop, const std::string& key);
  void give_back(ConnectionPtr connection);
  ConnectionPtr adopt(std::unique_ptr<Connection> connection);
  asio::awaitable<ConnectionPtr> connect(Origin origin, std::chrono::milliseconds limit);
  asio::awaitable<std::unique_ptr<Connection>> open(Origin origin);
  asio::awaitable<std::vector<Protocol::endpoint>> resolve(Origin origin,
                                                           std::chrono::milliseconds limit);
  asio::ssl::context& tls_context();
  asio::awaitable<Socket> connect_socket(Origin origin, Origin target);
  asio::awaitable<void> greet_tls(Connection& connection, Origin origin);
  void set_deadline(Connection& connection, std::chrono::milliseconds limit);
  void start_watch();  // with watch_mutex held
  void watch();

  asio::any_io_executor executor;
  const ClientOptions options;

  std::mutex pool_mutex;                       // guards idle and closed
  std::unordered_map<const void*, Pool> idle;  // by loop
  bool closed = false;  // the Client is gone: responses still being read keep nothing open

  std::once_flag tls_once;
  std::optional<asio::ssl::context> tls;
  const std::shared_ptr<TlsSessions> sessions = std::make_shared<TlsSessions>();

  std::mutex watch_mutex;  // guards watched and watch_timer
  std::list<Connection*> watched;
  asio::steady_timer watch_timer;
  std::atomic<bool> watching{false};
};

Client::Impl::ConnectionPtr Client::Impl::adopt(std::unique_ptr<Connection> connection) {
  std::lock_guard lock(watch_mutex);
  auto place = watched.insert(watched.end(), connection.get());
  return ConnectionPtr(connection.release(), Unwatch{shared_from_this(), place});
}

// Cuts a connection at its moment by shutting the socket down: safe from any thread, and whatever
// waits for the connection wakes up.
void Client::Impl::watch() {
  std::lock_guard lock(watch_mutex);
  watching = false;  // before the look: a deadline set meanwhile is either seen here or starts anew
  Clock::rep now = Clock::now().time_since_epoch().count();
  bool any = false;
  for (Connection* connection : watched) {
    Clock::rep deadline = connection->deadline.load();
    if (deadline == kNever) continue;
    if (deadline > now) {
      any = true;
      continue;
    }
    connection->timed_out = true;
    ::shutdown(connection->transport.socket().native_handle(), SHUT_RDWR);
  }
  if (any) start_watch();
}

void Client::Impl::start_watch() {
  if (watching.exchange(true)) return;
  watch_timer.expires_after(kWatchTick);
  watch_timer.async_wait([weak = weak_from_this()](const ErrorCode& error) {
    if (error) return;
    if (auto self = weak.lock()) self->watch();
  });
}

void Client::Impl::set_deadline(Connection& connection, std::chrono::milliseconds limit) {
  connection.deadline = (Clock::now() + limit).time_since_epoch().count();
  if (!watching.load()) {
    std::lock_guard lock(watch_mutex);
    start_watch();
  }
}

// What tells loops apart; null where all connections are of one executor.
const void* Client::Impl::loop_of(const asio::any_io_executor& sender) const {
  return options.on_senders_loop ? &asio::query(sender, asio::execution::context) : nullptr;
}

Client::Impl::ConnectionPtr Client::Impl::checkout(const void* loop, const std::string& key) {
  std::vector<ConnectionPtr> stale;  // closed after the lock is released
  ConnectionPtr found{nullptr, {}};
  auto oldest = Clock::now() - options.idle_timeout;
  std::lock_guard lock(pool_mutex);
  Pool& pool = idle[loop];
  auto entry = pool.find(key);
  if (entry == pool.end()) return found;
  auto& list = entry->second;
  while (!list.empty() && !found) {
    // The youngest first; the old ones at the front time out together.
    ConnectionPtr candidate = std::move(list.back());
    list.pop_back();
    if (candidate->idle_since < oldest || is_stale(*candidate)) {
      stale.push_back(std::move(candidate));
    } else {
      found = std::move(candidate);
    }
  }
  auto young = std::find_if(list.begin(), list.end(), [&](const ConnectionPtr& connection) {
    return connection->idle_since >= oldest;
  });
  std::move(list.begin(), young, std::back_inserter(stale));
  list.erase(list.begin(), young);
  return found;
}

void Client::Impl::give_back(ConnectionPtr connection) {
  connection->deadline = kNever;
  if (connection->timed_out || !connection->in.empty()) return;
  connection->idle_since = Clock::now();
  std::lock_guard lock(pool_mutex);
  if (closed) return;
  auto& list = idle[loop_of(connection->transport.socket().get_executor())][connection->key];
  if (list.size() < options.max_idle_per_origin) list.push_back(std::move(connection));
}

asio::ssl::context& Client::Impl::tls_context() {
  std::call_once(tls_once, [this] {
    tls.emplace(make_client_tls(options.ca_file));
    SSL_CTX* context = tls->native_handle();
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
      auto* connection = static_cast<Connection*>(SSL_get_ex_data(ssl, connection_index()));
      if (connection == nullptr) return 0;
      connection->sessions->keep(connection->key, session);
      return 1;
    });
  });
  return *tls;
}

// The resolver's thread cannot be interrupted, so we wait for a timer that its answer cancels.
asio::awaitable<std::vector<Protocol::endpoint>> Client::Impl::resolve(
    Origin origin, std::chrono::milliseconds limit) {
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
    throw Error(
        ErrorKind::kDeadlineExceeded,
        "Upstream " + name_of(origin) + ": the name was not resolved in " + seconds(limit) + ".");
  }
  if (answer->error) {
    throw bad_gateway(name_of(origin), "cannot resolve the name: " + answer->error.message());
  }
  co_return std::move(answer->endpoints);
}

// To `origin`, which is the target itself or the proxy on the way to it.
asio::awaitable<Socket> Client::Impl::connect_socket(Origin origin, Origin target) {
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
      if (options.addresses.allows(origin.host, address_of(endpoint))) allowed.push_back(endpoint);
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

asio::awaitable<void> Client::Impl::greet_tls(Connection& connection, Origin origin) {
  ErrorCode error, ignored;
  connection.transport.enable_tls(tls_context());
  auto& tls = *connection.transport.tls();
  SSL* ssl = tls.native_handle();
  connection.sessions = sessions;
  SSL_set_ex_data(ssl, connection_index(), &connection);
  sessions->offer(connection.key, ssl);
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

asio::awaitable<std::unique_ptr<Connection>> Client::Impl::open(Origin origin) {
  const Proxy* proxy = options.proxy.choose(origin);
  Origin first = origin;
  if (proxy != nullptr) {
    if (origin.guarded && !options.addresses.allows_name(origin.host)) throw forbidden(origin);
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

asio::awaitable<Client::Impl::ConnectionPtr> Client::Impl::connect(
    Origin origin, std::chrono::milliseconds limit) {
  std::string what = "Upstream " + name_of(origin) + ": no connection in " + seconds(limit) + ".";
  try {
    // On the sender's loop, or on a strand of its own: the sender may run on a bare pool.
    asio::any_io_executor own = co_await asio::this_coro::executor;
    if (!options.on_senders_loop) own = asio::make_strand(executor);
    auto connection = co_await asio::co_spawn(
        std::move(own), with_timeout(limit, open(std::move(origin)), std::move(what)),
        asio::use_awaitable);
    co_return adopt(std::move(connection));
  } catch (const Error& error) {
    Error unreachable = error;
    if (unreachable.code.empty()) unreachable.code = "upstream_unreachable";
    throw unreachable;
  }
}

// One exchange on an open connection, up to the response's head.
namespace {

struct Outcome {
  MessageHead head;
  bool before_first_byte = false;  // it failed, and nothing had come back
  std::optional<Error> failure;
};

Error describe(const Connection& connection, const ErrorCode& error, std::string_view waited_for,
               std::chrono::milliseconds limit) {
  if (connection.timed_out) {
    return Error(ErrorKind::kDeadlineExceeded, "Upstream " + connection.origin + ": " +
                                                   std::string(waited_for) + " did not come in " +
                                                   seconds(limit) + ".");
  }
  if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
  bool ended = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
  return bad_gateway(connection.origin,
                     ended ? "the connection was closed before " + std::string(waited_for)
                           : error.message() + " while waiting for " + std::string(waited_for));
}

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
      outcome.failure =
          describe(connection, write_error ? write_error : error, kWaitedFor, timeouts.first_byte);
      co_return outcome;
    }
  }
  if (write_error) outcome.head.keep_alive = false;
  co_return outcome;
}

}  // namespace

// The body of a response; gives the connection back at its end, or closes it when dropped earlier.
class Client::Impl::Body : public BodyStream {
 public:
  Body(std::shared_ptr<Impl> impl, ConnectionPtr connection, const MessageHead& head, bool no_body,
       std::chrono::milliseconds between_bytes)
      : impl_(std::move(impl)),
        connection_(std::move(connection)),
        keep_alive_(head.keep_alive),
        between_bytes_(between_bytes) {
    if (no_body) {
      framing_ = Framing::kLength;
    } else if (head.chunked) {
      framing_ = Framing::kChunked;
    } else if (head.content_length) {
      framing_ = Framing::kLength;
      left_ = *head.content_length;
    } else {
      framing_ = Framing::kToEnd;
      keep_alive_ = false;
    }
    if (framing_ == Framing::kLength && left_ == 0) finish();
  }

  asio::awaitable<std::optional<std::string>> next() override {
    for (;;) {
      if (!connection_) co_return std::nullopt;
      std::string piece = take();
      if (!piece.empty()) co_return piece;
      if (!connection_) co_return std::nullopt;
      impl_->set_deadline(*connection_, between_bytes_);
      ErrorCode error = co_await read_some(*connection_);
      if (!error) continue;
      bool ended = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
      if (framing_ == Framing::kToEnd && ended && !connection_->timed_out) {
        connection_.reset();
        co_return std::nullopt;
      }
      Error failure = describe(*connection_, error, "the next bytes of the body", between_bytes_);
      connection_.reset();
      throw failure;
    }
  }

 private:
  enum class Framing { kLength, kChunked, kToEnd };

  // What has arrived; finishes when that is the rest.
  std::string take() {
    std::string piece;
    ByteBuffer& in = connection_->in;
    switch (framing_) {
      case Framing::kLength: {
        std::size_t count = std::min<std::uint64_t>(left_, in.size());
        piece.assign(in.view().substr(0, count));
        in.consume(count);
        if ((left_ -= count) == 0) finish();
        break;
      }
      case Framing::kChunked:
        try {
          in.consume(chunks_.feed(in.view(), piece));
        } catch (const std::invalid_argument& e) {
          Error failure = bad_gateway(connection_->origin, e.what());
          connection_.reset();
          throw failure;
        }
        if (chunks_.done()) finish();
        break;
      case Framing::kToEnd:
        piece.assign(in.view());
        in.clear();
        break;
    }
    return piece;
  }

  void finish() {
    if (keep_alive_) {
      impl_->give_back(std::move(connection_));
    } else {
      connection_.reset();
    }
  }

  std::shared_ptr<Impl> impl_;
  ConnectionPtr connection_;  // null at the end
  bool keep_alive_;
  std::chrono::milliseconds between_bytes_;
  Framing framing_;
  std::uint64_t left_ = 0;
  ChunkDecoder chunks_;
};

Client::Client(asio::any_io_executor executor, ClientOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}

Client::~Client() {
  // Idle connections refer to the Impl that holds them.
  std::unordered_map<const void*, Impl::Pool> idle;
  {
    std::lock_guard lock(impl_->pool_mutex);
    impl_->closed = true;
    idle.swap(impl_->idle);
  }
}

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
  Impl::ConnectionPtr connection = impl->checkout(impl->loop_of(here), pool_key(request.origin));
  for (bool reused = connection != nullptr;; reused = false) {
    if (!connection) connection = co_await impl->connect(request.origin, request.timeouts.connect);
    impl->set_deadline(*connection, request.timeouts.first_byte);
    Outcome outcome =
        co_await exchange(*connection, head, body, request.timeouts, impl->options.max_head_bytes);
    if (outcome.failure) {
      connection.reset();
      if (reused && outcome.before_first_byte) continue;
      throw *outcome.failure;
    }
    connection->deadline = kNever;
    ClientResponse response;
    response.status = outcome.head.status;
    bool no_body = request.method == "HEAD" || response.status / 100 == 1 ||
                   response.status == 204 || response.status == 304;
    response.body = std::make_unique<Impl::Body>(impl, std::move(connection), outcome.head, no_body,
                                                 request.timeouts.between_bytes);
    response.headers = std::move(outcome.head.headers);
    co_return response;
  }
}

std::string host_header(const Origin& origin) {
  if (!origin.unix_path.empty()) return origin.host.empty() ? "localhost" : origin.host;
  std::string host =
      origin.host.find(':') == std::string::npos ? origin.host : "[" + origin.host + "]";
  bool usual = origin.port == (origin.scheme == "https" ? 443 : 80);
  return usual ? host : host + ":" + std::to_string(origin.port);
}

std::pair<Origin, std::string> parse_url(std::string_view url) {
  auto refuse = [&](std::string_view reason) {
    throw Error(ErrorKind::kBadValue,
                "Invalid URL " + quote_for_message(url) + ": " + std::string(reason) + ".");
  };
  Origin origin;
  std::size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) refuse("wanted 'http://host…' or 'https://host…'");
  origin.scheme = to_lower(url.substr(0, scheme_end));
  if (origin.scheme != "http" && origin.scheme != "https") {
    refuse("the scheme must be 'http' or 'https'");
  }
  origin.port = origin.scheme == "https" ? 443 : 80;
  std::string_view rest = url.substr(scheme_end + 3);
  std::size_t authority_end = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, authority_end);
  std::string_view path = authority_end == std::string_view::npos ? "" : rest.substr(authority_end);
  path = path.substr(0, path.find('#'));
  if (authority.find('@') != std::string_view::npos) {
    refuse("user names and passwords do not belong into it");
  }
  std::string_view host = authority, port;
  if (authority.starts_with('[')) {
    std::size_t close = authority.find(']');
    if (close == std::string_view::npos) refuse("']' is missing");
    host = authority.substr(1, close - 1);
    std::string_view after = authority.substr(close + 1);
    if (!after.empty() && after[0] != ':') refuse("invalid host");
    if (!after.empty()) port = after.substr(1);
  } else if (std::size_t colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    if (port.find(':') != std::string_view::npos) refuse("an IPv6 address needs brackets");
  }
  if (host.empty()) refuse("the host is missing");
  for (char c : url) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7F)
      refuse("it holds a blank or control character");
  }
  if (!port.empty()) {
    auto number = parse_int(port);
    if (!number || *number < 1 || *number > 65535) refuse("the port must be 1 to 65535");
    origin.port = static_cast<std::uint16_t>(*number);
  }
  origin.host = to_lower(host);
  std::string target(path);
  if (!target.starts_with('/')) target.insert(0, "/");
  return {origin, target};
}

asio::awaitable<std::string> read_all(BodyStream& body, std::size_t limit) {
  std::string all;
  while (auto piece = co_await body.next()) {
    if (all.size() + piece->size() > limit) {
      throw Error(ErrorKind::kUpstreamBadGateway,
                  "The response body is larger than " + std::to_string(limit) + " bytes.");
    }
    if (all.empty()) {
      all = std::move(*piece);
    } else {
      all += *piece;
    }
  }
  co_return all;
}

}  // namespace tessera::http
