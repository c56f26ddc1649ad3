#include "http/client.h"

#include <sys/un.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <mutex>

#include "base/error.h"
#include "http/test_certificate.h"
#include "http/test_support.h"
#include "http/timeout.h"
#include "http/tls.h"

namespace tessera::http {
namespace {

namespace fs = std::filesystem;

// A folder of its own for each test, removed at the end.
struct TempFolder {
  TempFolder() {
    std::string pattern = (fs::temp_directory_path() / "http_test_XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TempFolder() { fs::remove_all(path); }
  fs::path path;
};

// A server that says exactly what it is told: one script per connection, in order.
class ScriptedServer {
 public:
  struct Step {
    std::string send;
    std::chrono::milliseconds wait{0};  // before sending
  };
  // One list per connection; each step follows a request head (or, when `more`, the step before).
  using Script = std::vector<Step>;

  explicit ScriptedServer(std::vector<Script> scripts) : scripts_(std::move(scripts)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    ::listen(fd_, 16);
    socklen_t length = sizeof(address);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~ScriptedServer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  int requests() const { return requests_; }
  std::string last() const {  // the last request's head
    std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  void run() {
    for (const Script& script : scripts_) {
      int peer = ::accept(fd_, nullptr, nullptr);
      if (peer < 0) return;
      ++connections_;
      timeval limit{5, 0};
      ::setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
      std::string seen;
      for (const Step& step : script) {
        if (!read_request(peer, seen)) break;
        ++requests_;
        std::this_thread::sleep_for(step.wait);
        if (::send(peer, step.send.data(), step.send.size(), MSG_NOSIGNAL) < 0) break;
      }
      ::close(peer);
    }
  }
  bool read_request(int peer, std::string& seen) {
    std::size_t end;
    while ((end = seen.find("\r\n\r\n")) == std::string::npos) {
      char bytes[4096];
      ssize_t got = ::recv(peer, bytes, sizeof(bytes), 0);
      if (got <= 0) return false;
      seen.append(bytes, static_cast<std::size_t>(got));
    }
    std::lock_guard lock(mutex_);
    last_ = seen.substr(0, end + 4);
    seen.erase(0, end + 4);
    return true;
  }

  std::vector<Script> scripts_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0}, requests_{0};
  mutable std::mutex mutex_;  // guards last_
  std::string last_;
  std::thread thread_;
};

struct Reply {
  int status = 0;
  Headers headers;
  std::string body;
};

asio::awaitable<Reply> fetch(Client& client, ClientRequest request) {
  ClientResponse response = co_await client.send(std::move(request));
  Reply reply{response.status, std::move(response.headers), {}};
  reply.body = co_await read_all(*response.body, 100u << 20);
  co_return reply;
}

class HttpClient : public ServerTest {
 protected:
  HttpClient() {
    router_.add("POST", "/echo",
                [](Request request) -> asio::awaitable<Response> {
                  Response response = Response::json(request.body);
                  response.headers.add("x-host",
                                       std::string(request.headers.get("host").value_or("none")));
                  co_return response;
                },
                {.max_body_bytes = 20u << 20});
    router_.add("GET", "/stream", [](Request) -> asio::awaitable<Response> {
      class Counter : public BodyStream {
        int left_ = 5;
        asio::awaitable<std::optional<std::string>> next() override {
          if (left_ == 0) co_return std::nullopt;
          co_return std::to_string(left_--);
        }
      };
      Response response;
      response.stream = std::make_unique<Counter>();
      co_return response;
    });
  }
  void TearDown() override {
    client_.reset();
    ServerTest::TearDown();
  }

  Client& client(ClientOptions options = {}) {
    if (!client_) client_ = std::make_unique<Client>(pool_.get_executor(), std::move(options));
    return *client_;
  }
  Reply run(ClientRequest request) {
    return asio::co_spawn(asio::make_strand(pool_), fetch(client(), std::move(request)),
                          asio::use_future)
        .get();
  }
  Error failure_of(ClientRequest request) {
    try {
      Reply reply = run(std::move(request));
      ADD_FAILURE() << "status " << reply.status << ", body " << reply.body;
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::kInternal, "none");
  }
  static ClientRequest to(std::uint16_t port, std::string method = "GET", std::string target = "/",
                          std::string body = "") {
    ClientRequest request;
    request.origin.host = "127.0.0.1";
    request.origin.port = port;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    request.timeouts = {2s, 2s, 2s};
    return request;
  }

  std::unique_ptr<Client> client_;
};

TEST_F(HttpClient, RequestsShareAConnection) {
  start();
  for (int i = 0; i < 5; ++i) {
    Reply reply = run(to(server_->port(), "POST", "/echo", std::string(i * 100000, 'x')));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body.size(), i * 100000u);
    EXPECT_EQ(reply.headers.get("X-Host"), "127.0.0.1:" + std::to_string(server_->port()));
  }
  EXPECT_EQ(run(to(server_->port(), "GET", "/stream")).body, "54321");
  EXPECT_EQ(run(to(server_->port(), "HEAD", "/stream")).body, "");
  EXPECT_EQ(run(to(server_->port(), "GET", "/missing")).status, 404);
}

TEST_F(HttpClient, PooledConnectionIsReused) {
  std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  ScriptedServer server({{{ok}, {ok}, {ok}}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run(to(server.port())).body, "ok");
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(server.requests(), 3);
}

TEST_F(HttpClient, FramingsOfBodies) {
  ScriptedServer server({
      {{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
       {"HTTP/1.1 204 No Content\r\n\r\n"},
       {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"}},
      {{"HTTP/1.0 200 OK\r\n\r\nto the end"}},
  });
  EXPECT_EQ(run(to(server.port())).body, "abc");
  EXPECT_EQ(run(to(server.port())).status, 204);
  EXPECT_EQ(run(to(server.port())).body, "x");
  EXPECT_EQ(run(to(server.port())).body, "to the end");
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(HttpClient, StalePooledConnectionIsReplacedOnce) {
  std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  // The first connection closes after one answer; the next is closed when the second request is
  // already under way, which no look at the socket can foresee.
  ScriptedServer server({{{ok}}, {{ok}, {""}}, {{ok}}, {{""}}});
  EXPECT_EQ(run(to(server.port())).body, "ok");
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(run(to(server.port())).body, "ok");
  EXPECT_EQ(run(to(server.port(), "GET", "/again")).body, "ok");
  EXPECT_EQ(server.connections(), 3);
  // A fresh connection that is closed is an error.
  std::this_thread::sleep_for(20ms);
  Error error = failure_of(to(server.port()));
  EXPECT_EQ(error.kind, ErrorKind::kUpstreamBadGateway);
  EXPECT_NE(error.message.find("closed before the first byte"), std::string::npos) << error.message;
}

TEST_F(HttpClient, BrokenAnswers) {
  ScriptedServer server(
      {{{"nonsense\r\n\r\n"}},
       {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"}},
       {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"}},
       {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}},
       {{"HTTP/1.1 200 OK\r\nX: " + std::string(200000, 'x') + "\r\nContent-Length: 0\r\n\r\n"}},
       {{"HTTP/1.1 200 OK\r\nX: " + std::string(2000000, 'x')}}});
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(failure_of(to(server.port())).kind, ErrorKind::kUpstreamBadGateway);
  }
  EXPECT_EQ(run(to(server.port())).headers.get("x")->size(), 200000u);
  EXPECT_EQ(failure_of(to(server.port())).kind, ErrorKind::kUpstreamBadGateway);
}

TEST_F(HttpClient, AnswerBeforeTheBodyIsRead) {
  start();
  router_.add("POST", "/small", [](Request) -> asio::awaitable<Response> { co_return Response{}; },
              {.max_body_bytes = 10});
  Reply reply = run(to(server_->port(), "POST", "/small", std::string(8u << 20, 'x')));
  EXPECT_EQ(reply.status, 413);
}

TEST_F(HttpClient, Timeouts) {
  std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
  ScriptedServer server({{{"late", 1500ms}}, {{head + "a"}, {"", 1500ms}}});
  ClientRequest request = to(server.port());
  request.timeouts.first_byte = 100ms;
  Error error = failure_of(request);
  EXPECT_EQ(error.kind, ErrorKind::kDeadlineExceeded);
  EXPECT_NE(error.message.find("0.1 s"), std::string::npos) << error.message;
  request.timeouts = {2s, 2s, 100ms};
  EXPECT_EQ(failure_of(request).kind, ErrorKind::kDeadlineExceeded);
}

TEST_F(HttpClient, CannotConnect) {
  std::uint16_t port;
  {
    ScriptedServer gone({});
    port = gone.port();
  }
  Error refused = failure_of(to(port));
  EXPECT_EQ(refused.kind, ErrorKind::kUpstreamBadGateway);
  EXPECT_EQ(refused.code, "upstream_unreachable");
  EXPECT_NE(refused.message.find("127.0.0.1:" + std::to_string(port)), std::string::npos);
  ClientRequest unknown = to(80);
  unknown.origin.host = "does-not-exist.invalid";
  Error error = failure_of(unknown);
  EXPECT_TRUE(error.kind == ErrorKind::kUpstreamBadGateway ||
              error.kind == ErrorKind::kDeadlineExceeded);
  ClientRequest missing = to(80);
  missing.origin.unix_path = "/nonexistent/socket";
  EXPECT_EQ(failure_of(missing).kind, ErrorKind::kUpstreamBadGateway);
  ClientRequest blank = to(port);
  blank.target = "/a b";
  EXPECT_EQ(failure_of(blank).kind, ErrorKind::kBadValue);
}

TEST_F(HttpClient, UnixSocket) {
  TempFolder folder;
  ServerOptions options;
  options.unix_path = (folder.path / "s.sock").string();
  start(options);
  ClientRequest request = to(0, "POST", "/echo", "by file");
  request.origin = {};
  request.origin.unix_path = options.unix_path;
  Reply reply = run(request);
  EXPECT_EQ(reply.body, "by file");
  EXPECT_EQ(reply.headers.get("x-host"), "localhost");
  EXPECT_THROW(Server(pool_.get_executor(), router_, options), Error);  // it is in use
  client_.reset();
  server_.reset();
  EXPECT_FALSE(fs::exists(options.unix_path));
  // A file left behind by a process that died is no obstacle.
  sockaddr_un stale{};
  stale.sun_family = AF_UNIX;
  std::strcpy(stale.sun_path, options.unix_path.c_str());
  int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&stale), sizeof(stale)), 0);
  ::close(fd);
  start(options);
  EXPECT_EQ(run(request).status, 200);
}

TEST_F(HttpClient, Tls) {
  TempFolder folder;
  ServerOptions options;
  options.tls = make_certificate(folder.path);
  start(options);
  client({.ca_file = options.tls->certificate_pem_path});
  ClientRequest request = to(server_->port(), "POST", "/echo", "secret");
  request.origin.scheme = "https";
  request.origin.host = "localhost";
  EXPECT_EQ(run(request).body, "secret");
  request.body = std::string(3u << 20, 'x');
  EXPECT_EQ(run(request).body.size(), request.body.size());
  request.method = "GET";
  request.target = "/stream";
  request.body.clear();
  EXPECT_EQ(run(request).body, "54321");
  // Another name than the certificate's.
  request.origin.host = "127.0.0.1";
  Error name = failure_of(request);
  EXPECT_EQ(name.kind, ErrorKind::kUpstreamBadGateway);
  EXPECT_NE(name.message.find("TLS handshake failed"), std::string::npos) << name.message;
  // A certificate that nobody vouches for.
  client_.reset();
  request.origin.host = "localhost";
  Error untrusted = failure_of(request);
  EXPECT_NE(untrusted.message.find("self-signed"), std::string::npos) << untrusted.message;
  // Bare HTTP on the TLS port.
  request.origin.scheme = "http";
  EXPECT_EQ(failure_of(request).kind, ErrorKind::kUpstreamBadGateway);
  options.tls->private_key_pem_path = "/nonexistent";
  EXPECT_THROW(Server(pool_.get_executor(), router_, options), Error);
}

TEST_F(HttpClient, GuardedRequestsReachPublicAddressesOnly) {
  start();
  ClientRequest request = to(server_->port(), "POST", "/echo", "x");
  EXPECT_EQ(run(request).body, "x");
  // The pooled connection to the same place is not for guarded requests.
  request.origin.guarded = true;
  for (const char* host : {"127.0.0.1", "localhost"}) {
    request.origin.host = host;
    const Error error = failure_of(request);
    EXPECT_EQ(error.kind, ErrorKind::kUpstreamBadGateway) << error.message;
    EXPECT_EQ(error.code, "upstream_forbidden");
  }
  client_.reset();
  client({.addresses = AddressPolicy({"127.0.0.0/8", "::1"})});
  EXPECT_EQ(run(request).body, "x");
  client_.reset();
  client({.addresses = AddressPolicy({"localhost"})});
  EXPECT_EQ(run(request).body, "x");
  request.origin.host = "127.0.0.1";
  EXPECT_EQ(failure_of(request).code, "upstream_forbidden");
}

TEST_F(HttpClient, RedirectsAreNotFollowed) {
  ScriptedServer server(
      {{{"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n"
         "content-length: 0\r\n\r\n"}}});
  const Reply reply = run(to(server.port()));
  EXPECT_EQ(reply.status, 302);
  EXPECT_EQ(server.requests(), 1);
}

TEST_F(HttpClient, PlainRequestsThroughAProxy) {
  ScriptedServer proxy({{{"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"}}});
  client({.proxy = ProxySettings("http://u:p@127.0.0.1:" + std::to_string(proxy.port()), "", "")});
  ClientRequest request = to(81, "GET", "/path?q=1");
  request.origin.host = "api.example";
  request.origin.guarded = true;  // the proxy's own address is the administrator's affair
  EXPECT_EQ(run(request).body, "ok");
  EXPECT_NE(proxy.last().find("GET http://api.example:81/path?q=1 HTTP/1.1\r\n"), std::string::npos)
      << proxy.last();
  EXPECT_NE(proxy.last().find("proxy-authorization: Basic dTpw\r\n"), std::string::npos);
  EXPECT_NE(proxy.last().find("host: api.example:81\r\n"), std::string::npos);
  request.origin.host = "169.254.169.254";
  EXPECT_EQ(failure_of(request).code, "upstream_forbidden");
}

// A proxy that opens tunnels: reads the CONNECT, then passes bytes in both directions.
class TunnelProxy {
 public:
  explicit TunnelProxy(asio::any_io_executor executor, std::uint16_t target)
      : target_(target),
        acceptor_(asio::make_strand(executor), {asio::ip::address_v4::loopback(), 0}) {
    done_ = asio::co_spawn(acceptor_.get_executor(), serve(), asio::use_future);
  }
  ~TunnelProxy() {
    asio::post(acceptor_.get_executor(), [this] {
      acceptor_.close();
      for (auto& socket : open_) socket->close();
    });
    done_.wait();
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::string head() const {  // once a request went through
    std::lock_guard lock(mutex_);
    return head_;
  }

 private:
  using Tcp = asio::ip::tcp;
  asio::awaitable<void> serve() {
    try {
      for (;;) {
        auto client =
            std::make_shared<Tcp::socket>(co_await acceptor_.async_accept(asio::use_awaitable));
        char byte = 0;
        std::string head;
        while (!head.ends_with("\r\n\r\n")) {
          co_await client->async_read_some(asio::mutable_buffer(&byte, 1), asio::use_awaitable);
          head += byte;
        }
        {
          std::lock_guard lock(mutex_);
          head_ = head;
        }
        auto upstream = std::make_shared<Tcp::socket>(acceptor_.get_executor());
        const Tcp::endpoint endpoint(asio::ip::address_v4::loopback(), target_);
        co_await upstream->async_connect(endpoint, asio::use_awaitable);
        const std::string ok = "HTTP/1.1 200 Connection established\r\n\r\n";
        co_await asio::async_write(*client, asio::buffer(ok), asio::use_awaitable);
        open_.push_back(client);
        open_.push_back(upstream);
        asio::co_spawn(acceptor_.get_executor(), pass(client, upstream), asio::detached);
        asio::co_spawn(acceptor_.get_executor(), pass(upstream, client), asio::detached);
      }
    } catch (const boost::system::system_error&) {
    }
  }
  static asio::awaitable<void> pass(std::shared_ptr<Tcp::socket> from,
                                    std::shared_ptr<Tcp::socket> to) {
    try {
      char bytes[4096];
      for (;;) {
        const std::size_t count =
            co_await from->async_read_some(asio::buffer(bytes), asio::use_awaitable);
        co_await asio::async_write(*to, asio::buffer(bytes, count), asio::use_awaitable);
      }
    } catch (const boost::system::system_error&) {
    }
    boost::system::error_code ignored;
    to->shutdown(Tcp::socket::shutdown_send, ignored);
  }

  std::uint16_t target_;
  mutable std::mutex mutex_;  // guards head_
  std::string head_;
  Tcp::acceptor acceptor_;
  std::vector<std::shared_ptr<Tcp::socket>> open_;
  std::future<void> done_;
};

TEST_F(HttpClient, TlsThroughAProxy) {
  TempFolder folder;
  ServerOptions options;
  options.tls = make_certificate(folder.path);
  start(options);
  {
    TunnelProxy proxy(pool_.get_executor(), server_->port());
    client({.ca_file = options.tls->certificate_pem_path,
            .max_idle_per_origin = 0,
            .proxy = ProxySettings("", "127.0.0.1:" + std::to_string(proxy.port()), "")});
    ClientRequest request = to(server_->port(), "POST", "/echo", "secret");
    request.origin.scheme = "https";
    request.origin.host = "localhost";
    EXPECT_EQ(run(request).body, "secret");
    EXPECT_NE(proxy.head().find("CONNECT localhost:" + std::to_string(server_->port())),
              std::string::npos);
    // A new connection takes the session up; the name is checked as before.
    EXPECT_EQ(run(request).body, "secret");
    request.origin.host = "other.example";
    EXPECT_NE(failure_of(request).message.find("TLS handshake failed"), std::string::npos);
    client_.reset();
  }
  ScriptedServer refusing(
      {{{"HTTP/1.1 407 Proxy Authentication Required\r\n"
         "content-length: 0\r\n\r\n"}}});
  client({.proxy = ProxySettings("", "127.0.0.1:" + std::to_string(refusing.port()), "")});
  ClientRequest request = to(443);
  request.origin.scheme = "https";
  request.origin.host = "api.example";
  const Error refused = failure_of(request);
  EXPECT_EQ(refused.code, "upstream_unreachable");
  EXPECT_NE(refused.message.find("407"), std::string::npos) << refused.message;
}

// A TLS server that answers one request per connection and notes whether it took a session up.
class ResumingServer {
 public:
  explicit ResumingServer(const TlsFiles& files, int connections)
      : context_(make_server_tls(files)), acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
    thread_ = std::thread([this, connections] {
      for (int i = 0; i < connections; ++i) serve_one();
    });
  }
  ~ResumingServer() { thread_.join(); }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  int resumed() const { return resumed_; }

 private:
  void serve_one() {
    boost::system::error_code error;
    asio::ssl::stream<asio::ip::tcp::socket> stream(io_, context_);
    acceptor_.accept(stream.next_layer(), error);
    stream.handshake(asio::ssl::stream_base::server, error);
    if (error) return;
    if (SSL_session_reused(stream.native_handle()) == 1) ++resumed_;
    std::string head;
    char byte = 0;
    while (!error && !head.ends_with("\r\n\r\n")) {
      stream.read_some(asio::mutable_buffer(&byte, 1), error);
      head += byte;
    }
    const std::string answer =
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    asio::write(stream, asio::buffer(answer), error);
    stream.shutdown(error);
  }

  asio::io_context io_;
  asio::ssl::context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::atomic<int> resumed_{0};
  std::thread thread_;
};

TEST_F(HttpClient, TlsSessionsAreTakenUpAgain) {
  TempFolder folder;
  const TlsFiles files = make_certificate(folder.path);
  ResumingServer server(files, 3);
  client({.ca_file = files.certificate_pem_path});
  ClientRequest request = to(server.port());
  request.origin.scheme = "https";
  request.origin.host = "localhost";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run(request).body, "ok");
  EXPECT_EQ(server.resumed(), 2);
}

TEST_F(HttpClient, DroppedBodyClosesTheConnection) {
  std::atomic<bool> destroyed = false;
  router_.add("GET", "/endless", [&](Request) -> asio::awaitable<Response> {
    struct Endless : BodyStream {
      explicit Endless(std::atomic<bool>& destroyed) : destroyed(destroyed) {}
      ~Endless() override { destroyed = true; }
      asio::awaitable<std::optional<std::string>> next() override {
        asio::steady_timer timer(co_await asio::this_coro::executor, 5ms);
        co_await timer.async_wait(asio::use_awaitable);
        co_return "x";
      }
      std::atomic<bool>& destroyed;
    };
    Response response;
    response.stream = std::make_unique<Endless>(destroyed);
    co_return response;
  });
  start();
  auto first_piece = [](Client& client, ClientRequest request) -> asio::awaitable<std::string> {
    ClientResponse response = co_await client.send(std::move(request));
    co_return (co_await response.body->next()).value_or("end");
  };
  EXPECT_EQ(asio::co_spawn(asio::make_strand(pool_),
                           first_piece(client(), to(server_->port(), "GET", "/endless")),
                           asio::use_future)
                .get(),
            "x");
  EXPECT_TRUE(eventually([&] { return destroyed.load(); }));
  // The same when the reader is cancelled while it waits.
  destroyed = false;
  auto read_on = [](Client& client, ClientRequest request) -> asio::awaitable<void> {
    co_await with_timeout(100ms, fetch(client, std::move(request)), "reading");
  };
  auto cancelled =
      asio::co_spawn(asio::make_strand(pool_),
                     read_on(client(), to(server_->port(), "GET", "/endless")), asio::use_future);
  try {
    cancelled.get();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kDeadlineExceeded);
  }
  EXPECT_TRUE(eventually([&] { return destroyed.load(); }));
}

TEST_F(HttpClient, ReadAllLimit) {
  start();
  auto read = [](Client& client, ClientRequest request) -> asio::awaitable<std::string> {
    ClientResponse response = co_await client.send(std::move(request));
    co_return co_await read_all(*response.body, 100);
  };
  auto got =
      asio::co_spawn(asio::make_strand(pool_),
                     read(client(), to(server_->port(), "POST", "/echo", std::string(101, 'x'))),
                     asio::use_future);
  EXPECT_THROW(got.get(), Error);
}

TEST_F(HttpClient, ManyAtOnce) {
  start();
  std::vector<std::future<Reply>> replies;
  for (int i = 0; i < 200; ++i) {
    replies.push_back(
        asio::co_spawn(asio::make_strand(pool_),
                       fetch(client(), to(server_->port(), "POST", "/echo", std::to_string(i))),
                       asio::use_future));
  }
  for (int i = 0; i < 200; ++i) EXPECT_EQ(replies[i].get().body, std::to_string(i));
}

}  // namespace
}  // namespace tessera::http
