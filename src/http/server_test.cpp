#include "http/server.h"

#include <sys/un.h>

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "http/inflate.h"
#include "http/test_support.h"

namespace tessera::http {
namespace {

// Set when the object in a coroutine frame is destroyed.
struct Witness {
  std::atomic<bool>* destroyed;
  ~Witness() { *destroyed = true; }
};

asio::awaitable<void> sleep_for(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

// Yields the pieces, waiting before each; afterwards ends, or throws.
class Pieces : public BodyStream {
 public:
  Pieces(std::vector<std::string> pieces, std::chrono::milliseconds wait = 0ms,
         std::optional<Error> failure = {}, std::atomic<bool>* destroyed = nullptr)
      : pieces_(std::move(pieces)), wait_(wait), failure_(failure), destroyed_(destroyed) {}
  ~Pieces() override {
    if (destroyed_) *destroyed_ = true;
  }
  asio::awaitable<std::optional<std::string>> next() override {
    if (wait_ > 0ms) co_await sleep_for(wait_);
    if (at_ == pieces_.size()) {
      if (failure_) throw *failure_;
      co_return std::nullopt;
    }
    co_return pieces_[at_++];
  }

 private:
  std::vector<std::string> pieces_;
  std::size_t at_ = 0;
  std::chrono::milliseconds wait_;
  std::optional<Error> failure_;
  std::atomic<bool>* destroyed_;
};

Response stream_of(std::unique_ptr<BodyStream> stream) {
  Response response;
  response.headers.add("content-type", "text/event-stream");
  response.stream = std::move(stream);
  return response;
}

asio::awaitable<Response> echo(Request request) {
  Response response = Response::json(request.method + " " + request.path + " " + request.body);
  for (const auto& [name, value] : request.query) response.body += " " + name + "=" + value;
  for (const auto& [name, value] : request.params) response.body += " {" + name + "=" + value + "}";
  co_return response;
}

class HttpServer : public ServerTest {
 protected:
  HttpServer() {
    router_.add("GET", "/echo", echo);
    router_.add("POST", "/echo", echo, {.max_body_bytes = 1000});
    router_.add("POST", "/big", echo, {.max_body_bytes = 20u << 20});
    router_.add("GET", "/echo/{name}", echo);
    router_.add("GET", "/fail", [](Request) -> asio::awaitable<Response> {
      throw Error(ErrorKind::kOutOfRange, "n is 7, wanted 1 to 5", "n");
      co_return Response{};
    });
    router_.add("GET", "/crash", [](Request) -> asio::awaitable<Response> {
      throw std::runtime_error("secret detail");
      co_return Response{};
    });
  }
};

TEST_F(HttpServer, AnswersWithRequestIdAndLength) {
  start();
  std::string reply = ask(get("/echo?a=1&b=%20x"));
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply;
  EXPECT_TRUE(reply.ends_with("\r\n\r\nGET /echo  a=1 b= x")) << reply;
  std::size_t at = reply.find("x-request-id: ");
  ASSERT_NE(at, std::string::npos);
  EXPECT_TRUE(is_uuid(reply.substr(at + 14, 36)));
  EXPECT_NE(reply.find("date: "), std::string::npos);
}

TEST_F(HttpServer, PathsAreDecodedPerSegment) {
  start();
  EXPECT_TRUE(ask(get("/echo/a%2Fb%20c/")).ends_with("GET /echo/a/b c/  {name=a/b c}"));
  EXPECT_TRUE(ask(get("/echo/%zz")).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask(get("/echo?x=%z")).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask(get("http://other/echo")).starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServer, HeadUnknownPathAndMethod) {
  start();
  RawClient client(server_->port());
  client.send("HEAD /echo HTTP/1.1\r\nHost: h\r\n\r\n");
  std::string head = client.read_until("\r\n\r\n");
  EXPECT_NE(head.find("content-length: 11"), std::string::npos) << head;
  client.send(get("/echo/x"));  // nothing of a body came between
  EXPECT_TRUE(client.read_response().starts_with("HTTP/1.1 200 "));
  client.send("DELETE /echo HTTP/1.1\r\nHost: h\r\n\r\n");
  std::string refused = client.read_response();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 405 ")) << refused;
  EXPECT_NE(refused.find("allow: GET, HEAD, POST\r\n"), std::string::npos) << refused;
  client.send(post("/nowhere", "body"));
  std::string missing = client.read_response();
  EXPECT_TRUE(missing.starts_with("HTTP/1.1 404 ")) << missing;
  EXPECT_NE(missing.find("'POST /nowhere'"), std::string::npos);
  client.send(get("/echo"));  // the connection has survived all of it
  EXPECT_TRUE(client.read_response().starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServer, HandlerErrorsArePresented) {
  std::vector<std::string> lines;
  std::mutex mutex;
  set_log_sink([&](std::string_view line) {
    std::lock_guard lock(mutex);
    lines.emplace_back(line);
  });
  start();
  EXPECT_NE(ask(get("/fail")).find("n is 7, wanted 1 to 5"), std::string::npos);
  std::string crash = ask(get("/crash"));
  set_log_sink({});
  EXPECT_TRUE(crash.starts_with("HTTP/1.1 500 ")) << crash;
  EXPECT_EQ(crash.find("secret"), std::string::npos);
  std::string id = crash.substr(crash.find("x-request-id: ") + 14, 36);
  EXPECT_NE(crash.find("request id " + id), std::string::npos);
  std::lock_guard lock(mutex);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find(id), std::string::npos);
  EXPECT_NE(lines[0].find("secret detail"), std::string::npos);
}

TEST_F(HttpServer, PipelinedRequestsAreAnsweredInOrder) {
  start();
  RawClient client(server_->port());
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += post("/echo", std::to_string(i)) + get("/echo/" + std::to_string(i));
  client.send(all);
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(client.read_response().ends_with("POST /echo " + std::to_string(i)));
    EXPECT_TRUE(client.read_response().ends_with("{name=" + std::to_string(i) + "}"));
  }
}

TEST_F(HttpServer, BytewiseRequest) {
  start();
  RawClient client(server_->port());
  for (char c : post("/echo", "slow")) client.send({&c, 1});
  EXPECT_TRUE(client.read_response().ends_with("POST /echo slow"));
}

TEST_F(HttpServer, ChunkedBody) {
  start();
  RawClient client(server_->port());
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n" + get("/echo/next"));
  EXPECT_TRUE(client.read_response().ends_with("POST /echo abcde"));
  EXPECT_TRUE(client.read_response().ends_with("{name=next}"));
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
  EXPECT_TRUE(client.read_response().starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(client.ended());
}

TEST_F(HttpServer, HostileBytes) {
  start();
  for (std::string bytes :
       {std::string("\0\1\2\3\r\n\r\n", 8), std::string("GET\r\n\r\n"),
        std::string("\x16\x03\x01\x02\r\n\r\n"), std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        std::string(
            "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        std::string("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n0\r\n\r\n")}) {
    RawClient client(server_->port());
    client.send(bytes);
    std::string reply = client.read_to_end();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 400 ")) << reply;
    EXPECT_NE(reply.find("connection: close"), std::string::npos);
    EXPECT_NE(reply.find("x-request-id: "), std::string::npos);
    EXPECT_EQ(reply.find("\r\nHTTP/1.1 ", 10), std::string::npos) << "answered twice: " << reply;
  }
  EXPECT_TRUE(ask(get("/echo")).starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServer, HeaderLimit) {
  start({.max_header_bytes = 2000});
  EXPECT_TRUE(
      ask(get("/echo", "X: " + std::string(1900, 'x') + "\r\n")).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(
      ask(get("/echo", "X: " + std::string(2000, 'x') + "\r\n")).starts_with("HTTP/1.1 431 "));
  RawClient endless(server_->port());
  endless.send("GET /echo HTTP/1.1\r\nHost: h\r\n");
  for (int i = 0; i < 300; ++i) endless.send("X-Many: yes\r\n");
  EXPECT_TRUE(endless.read_response().starts_with("HTTP/1.1 431 "));
}

TEST_F(HttpServer, BodyLimitIsToldWhileTheClientStillSends) {
  start();
  std::string fits(1000, 'x');
  EXPECT_TRUE(ask(post("/echo", fits)).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(ask(post("/echo", fits + "x")).starts_with("HTTP/1.1 413 "));
  RawClient client(server_->port());
  std::string much(3u << 20, 'x');
  std::thread sender([&] { client.send(post("/echo", much)); });
  std::string reply = client.read_response();
  sender.join();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 413 ")) << reply;
  EXPECT_NE(reply.find("1000 bytes"), std::string::npos);
  RawClient chunked(server_->port());
  chunked.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5dc\r\n" +
               std::string(1500, 'x'));
  EXPECT_TRUE(chunked.read_response().starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpServer, BigBodyArrivesWhole) {
  start();
  std::string body;
  while (body.size() < (5u << 20)) body += std::to_string(body.size()) + ",";
  std::string reply = ask(post("/big", body));
  EXPECT_TRUE(reply.ends_with("POST /big " + body));
}

TEST_F(HttpServer, SlowHeadAndSlowBody) {
  start({.header_timeout = 100ms, .body_timeout = 100ms});
  RawClient idle(server_->port()), head(server_->port()), body(server_->port());
  head.send("GET /echo HT");
  body.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_TRUE(head.read_to_end().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(body.read_to_end().starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(idle.read_to_end(), "");
}

TEST_F(HttpServer, ExpectContinue) {
  start();
  RawClient client(server_->port());
  std::string fields = "Host: h\r\nExpect: 100-continue\r\n";
  client.send("POST /echo HTTP/1.1\r\n" + fields + "Content-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_TRUE(client.read_response().ends_with("POST /echo ok"));
  client.send("POST /echo HTTP/1.1\r\n" + fields + "Content-Length: 9999\r\n\r\n");
  EXPECT_TRUE(client.read_response().starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpServer, GzipBodies) {
  start();
  std::string packed = gzip("squeezed");
  EXPECT_TRUE(
      ask(post("/echo", packed, "Content-Encoding: gzip\r\n")).ends_with("POST /echo squeezed"));
  std::string bomb = gzip(std::string(100000, 'x'));
  ASSERT_LT(bomb.size(), 1000u);
  EXPECT_TRUE(ask(post("/echo", bomb, "Content-Encoding: gzip\r\n")).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(
      ask(post("/echo", "junk", "Content-Encoding: gzip\r\n")).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask(post("/echo", "junk", "Content-Encoding: br\r\n")).starts_with("HTTP/1.1 415 "));
}

TEST_F(HttpServer, StreamsAreFlushedPieceByPiece) {
  router_.add("GET", "/stream", [](Request) -> asio::awaitable<Response> {
    co_return stream_of(std::make_unique<Pieces>(std::vector<std::string>{"one", "", "two"}, 30ms));
  });
  start();
  RawClient client(server_->port());
  client.send(get("/stream"));
  std::string head = client.read_until("\r\n\r\n");
  EXPECT_NE(head.find("transfer-encoding: chunked"), std::string::npos);
  EXPECT_EQ(head.find("content-length"), std::string::npos);
  EXPECT_EQ(client.read_until("\r\none\r\n"), "3\r\none\r\n");
  EXPECT_EQ(client.read_until("0\r\n\r\n"), "3\r\ntwo\r\n0\r\n\r\n");
  client.send(get("/echo"));
  EXPECT_TRUE(client.read_response().starts_with("HTTP/1.1 200 "));
  RawClient old(server_->port());
  old.send("GET /stream HTTP/1.0\r\n\r\n");
  std::string all = old.read_to_end();
  EXPECT_EQ(all.find("chunked"), std::string::npos);
  EXPECT_TRUE(all.ends_with("\r\n\r\nonetwo")) << all;
}

TEST_F(HttpServer, StreamErrorsBeforeAndAfterTheFirstPiece) {
  Error failure(ErrorKind::kEngineFailure, "broken");
  router_.add("GET", "/early", [=](Request) -> asio::awaitable<Response> {
    co_return stream_of(std::make_unique<Pieces>(std::vector<std::string>{}, 10ms, failure));
  });
  router_.add("GET", "/late", [=](Request) -> asio::awaitable<Response> {
    co_return stream_of(
        std::make_unique<Pieces>(std::vector<std::string>{"data: 1\n\n"}, 0ms, failure));
  });
  start();
  RawClient client(server_->port());
  client.send(get("/early"));
  std::string early = client.read_response();
  EXPECT_TRUE(early.starts_with("HTTP/1.1 500 ")) << early;
  EXPECT_NE(early.find("broken"), std::string::npos);
  client.send(get("/late"));
  std::string late = client.read_until("0\r\n\r\n");
  EXPECT_TRUE(late.starts_with("HTTP/1.1 200 ")) << late;
  EXPECT_NE(late.find("data: {\"error\":{\"message\":\"broken\""), std::string::npos);
  EXPECT_EQ(late.find("[DONE]"), std::string::npos);
}

TEST_F(HttpServer, StreamHeadGoesOutWhenTheFirstPieceIsLate) {
  router_.add("GET", "/slow", [](Request) -> asio::awaitable<Response> {
    co_return stream_of(std::make_unique<Pieces>(std::vector<std::string>{"late"}, 1500ms));
  });
  start({.stream_head_delay = 50ms});
  RawClient client(server_->port());
  auto begin = std::chrono::steady_clock::now();
  client.send(get("/slow"));
  client.read_until("\r\n\r\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1200ms);
  EXPECT_EQ(client.read_until("0\r\n\r\n"), "4\r\nlate\r\n0\r\n\r\n");
}

TEST_F(HttpServer, KeepAlivesFillTheSilence) {
  router_.add("GET", "/quiet", [](Request) -> asio::awaitable<Response> {
    Response response =
        stream_of(std::make_unique<Pieces>(std::vector<std::string>{"a", "b"}, 250ms));
    response.keep_alive = ": ping\n\n";
    response.keep_alive_interval = 100ms;
    co_return response;
  });
  start();
  RawClient client(server_->port());
  client.send(get("/quiet"));
  // Not before the head, which waits for the first piece.
  EXPECT_TRUE(client.read_until("\r\na\r\n").ends_with("\r\n\r\n1\r\na\r\n"));
  std::string rest = client.read_until("\r\nb\r\n");
  const std::string ping = "8\r\n: ping\n\n\r\n";
  EXPECT_TRUE(rest.starts_with(ping)) << rest;
  while (rest.starts_with(ping)) rest.erase(0, ping.size());
  EXPECT_EQ(rest, "1\r\nb\r\n");
  client.read_until("0\r\n\r\n");
  client.send(get("/echo"));
  EXPECT_TRUE(client.read_response().starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServer, LeavingClientCancelsHandlerAndStream) {
  std::atomic<bool> handler_destroyed = false, stream_destroyed = false, entered = false;
  std::atomic<int> logged_status = 0;
  router_.add("GET", "/wait", [&](Request) -> asio::awaitable<Response> {
    Witness witness{&handler_destroyed};
    entered = true;
    co_await sleep_for(60s);
    co_return Response{};
  });
  router_.add("GET", "/stream", [&](Request) -> asio::awaitable<Response> {
    co_return stream_of(std::make_unique<Pieces>(std::vector<std::string>(1000, "x"), 20ms,
                                                 std::nullopt, &stream_destroyed));
  });
  start({.access_log = [&](const AccessRecord& record) { logged_status = record.status; }});
  {
    RawClient client(server_->port());
    client.send(get("/wait"));
    ASSERT_TRUE(eventually([&] { return entered.load(); }));
    EXPECT_FALSE(handler_destroyed);
    EXPECT_EQ(server_->active_requests(), 1);
  }
  EXPECT_TRUE(eventually([&] { return handler_destroyed.load(); }, 1s));
  EXPECT_TRUE(eventually([&] { return logged_status == 499; }));
  {
    RawClient client(server_->port());
    client.send(get("/stream"));
    client.read_until("x\r\n");
    EXPECT_FALSE(stream_destroyed);
  }
  EXPECT_TRUE(eventually([&] { return stream_destroyed.load(); }, 1s));
  EXPECT_TRUE(eventually([&] { return server_->active_requests() == 0; }));
}

TEST_F(HttpServer, ClientThatDoesNotReadIsDropped) {
  std::atomic<bool> destroyed = false;
  router_.add("GET", "/flood", [&](Request) -> asio::awaitable<Response> {
    co_return stream_of(std::make_unique<Pieces>(
        std::vector<std::string>(500, std::string(100000, 'x')), 0ms, std::nullopt, &destroyed));
  });
  start({.write_timeout = 150ms});
  RawClient client(server_->port(), 4096);
  client.send(get("/flood"));
  EXPECT_TRUE(eventually([&] { return destroyed.load(); }));
}

TEST_F(HttpServer, DrainLetsRunningRequestsFinish) {
  std::atomic<bool> entered = false;
  router_.add("GET", "/work", [&](Request) -> asio::awaitable<Response> {
    entered = true;
    co_await sleep_for(200ms);
    co_return Response::json("done");
  });
  start();
  RawClient working(server_->port()), waiting(server_->port());
  waiting.send(get("/echo"));
  waiting.read_response();
  working.send(get("/work"));
  ASSERT_TRUE(eventually([&] { return entered.load(); }));
  auto drained = asio::co_spawn(asio::make_strand(pool_), server_->drain(5s), asio::use_future);
  std::this_thread::sleep_for(20ms);
  waiting.send(get("/echo"));
  std::string refused = waiting.read_response();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 ")) << refused;
  EXPECT_NE(refused.find("retry-after: "), std::string::npos);
  std::string done = working.read_response();
  EXPECT_TRUE(done.ends_with("done")) << done;
  EXPECT_NE(done.find("connection: close"), std::string::npos);
  EXPECT_EQ(drained.get(), 0);
}

TEST_F(HttpServer, DrainCutsAtTheDeadline) {
  std::atomic<bool> entered = false, destroyed = false;
  router_.add("GET", "/work", [&](Request) -> asio::awaitable<Response> {
    Witness witness{&destroyed};
    entered = true;
    co_await sleep_for(60s);
    co_return Response{};
  });
  start();
  RawClient working(server_->port());
  working.send(get("/work"));
  ASSERT_TRUE(eventually([&] { return entered.load(); }));
  EXPECT_EQ(asio::co_spawn(asio::make_strand(pool_), server_->drain(100ms), asio::use_future).get(),
            1);
  EXPECT_EQ(working.read_to_end(), "");
  EXPECT_TRUE(eventually([&] { return destroyed.load(); }));
}

TEST_F(HttpServer, NothingIsLeftAfterADrain) {
  start();
  RawClient idle(server_->port());
  idle.send(get("/echo"));
  idle.read_response();
  asio::co_spawn(asio::make_strand(pool_), server_->drain(5s), asio::use_future).get();
  pool_.stop();  // nothing can unwind any more
  auto begin = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

TEST_F(HttpServer, DestructorUnwindsWhatRuns) {
  std::atomic<bool> entered = false, destroyed = false;
  router_.add("GET", "/work", [&](Request) -> asio::awaitable<Response> {
    Witness witness{&destroyed};
    entered = true;
    co_await sleep_for(60s);
    co_return Response{};
  });
  start();
  RawClient working(server_->port()), idle(server_->port());
  working.send(get("/work"));
  ASSERT_TRUE(eventually([&] { return entered.load(); }));
  server_.reset();
  EXPECT_TRUE(destroyed);
}

TEST_F(HttpServer, TooManyConnections) {
  start({.max_connections = 2});
  RawClient first(server_->port()), second(server_->port());
  first.send(get("/echo"));
  second.send(get("/echo"));
  first.read_response();
  second.read_response();
  {
    RawClient third(server_->port());
    third.send(get("/echo"));
    std::string refused = third.read_response();
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 ")) << refused;
    EXPECT_NE(refused.find("retry-after: 1"), std::string::npos);
  }
  first.close();
  EXPECT_TRUE(eventually([&] { return ask(get("/echo")).starts_with("HTTP/1.1 200 "); }));
}

TEST_F(HttpServer, HeaderInjectionByAHandlerIsHarmless) {
  router_.add("GET", "/inject", [](Request) -> asio::awaitable<Response> {
    Response response = Response::json("{}");
    response.headers.add("x-bad", "a\r\nx-evil: 1");
    response.headers.add("content-length", "999");
    response.headers.add("x-request-id", "forged");
    co_return response;
  });
  start();
  std::string reply = ask(get("/inject"));
  EXPECT_EQ(reply.find("\r\nx-evil"), std::string::npos);
  EXPECT_EQ(reply.find("999"), std::string::npos);
  EXPECT_EQ(reply.find("forged"), std::string::npos);
}

TEST_F(HttpServer, AccessLog) {
  std::mutex mutex;
  std::string line;
  start({.access_log = [&](const AccessRecord& r) {
    std::lock_guard lock(mutex);
    line = std::string(r.method) + " " + std::string(r.path) + " " + std::to_string(r.status) +
           " " + std::to_string(r.request_bytes) + " " + std::to_string(r.response_bytes) + " " +
           std::string(r.peer_ip);
    EXPECT_TRUE(is_uuid(r.request_id));
    EXPECT_GE(r.duration_us, 0);
  }});
  ask(post("/echo", "12345"));
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(mutex);
    return line == "POST /echo 200 5 16 127.0.0.1";
  })) << line;
}

TEST(HttpServerBind, SaysWhatIsWrong) {
  asio::thread_pool pool(1);
  Router router;
  Server first(pool.get_executor(), router, {.port = 0});
  for (ServerOptions options :
       {ServerOptions{.port = first.port()}, ServerOptions{.address = "nonsense"},
        ServerOptions{.unix_path = "/nonexistent/dir/socket"},
        ServerOptions{.unix_path = std::string(200, 'x')}}) {
    try {
      Server second(pool.get_executor(), router, options);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kIo);
      EXPECT_NE(error.message.find("Cannot listen on "), std::string::npos) << error.message;
    }
  }
}

TEST_F(HttpServer, TwoHundredStreams) {
  router_.add("GET", "/stream", [](Request) -> asio::awaitable<Response> {
    co_return stream_of(std::make_unique<Pieces>(std::vector<std::string>(20, "data: x\n\n"), 5ms));
  });
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->send(get("/stream", "Connection: close\r\n"));
  }
  std::string body;
  for (int i = 0; i < 20; ++i) body += "9\r\ndata: x\n\n\r\n";
  for (auto& client : clients) {
    EXPECT_TRUE(client->read_to_end().ends_with("\r\n\r\n" + body + "0\r\n\r\n"));
  }
}

}  // namespace
}  // namespace tessera::http
