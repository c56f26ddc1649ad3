#include "http/event_loops.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <map>
#include <sstream>
#include <thread>

#include "http/client.h"
#include "http/test_support.h"

namespace tessera::http {
namespace {

std::string this_thread() {
  std::ostringstream text;
  text << std::this_thread::get_id();
  return text.str();
}

// Says on which loop it runs.
class EventLoopsTest : public testing::Test {
 protected:
  void start(int loops) {
    serving_ = std::make_unique<EventLoops>(loops);
    router_.add("GET", "/thread", [](Request) -> asio::awaitable<Response> {
      co_return Response::json(this_thread());
    });
    ServerOptions options;
    options.port = 0;
    server_ = std::make_unique<Server>(*serving_, router_, std::move(options));
    server_->start();
  }

  std::unique_ptr<EventLoops> serving_;
  Router router_;
  std::unique_ptr<Server> server_;
};

TEST_F(EventLoopsTest, ConnectionsAreSpreadAndStayWhereTheyAre) {
  start(3);
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<std::string> threads;
  std::map<std::string, int> connections;
  const auto ask = [](RawClient& client) {
    client.send(get("/thread"));
    const std::string response = client.read_response();
    return response.substr(response.rfind('\n') + 1);
  };
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    threads.push_back(ask(*clients.back()));
    ++connections[threads.back()];
  }
  EXPECT_EQ(connections.size(), 3u);
  for (const auto& [thread, count] : connections) EXPECT_EQ(count, 2) << thread;
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(ask(*clients[i]), threads[i]);

  // The place of one that has left is taken by the next.
  clients[3]->close();
  while (server_->connections() == 6) std::this_thread::yield();
  RawClient next(server_->port());
  EXPECT_EQ(ask(next), threads[3]);
}

// Where the answer came from, and on which thread the sender went on.
asio::awaitable<std::pair<std::string, std::string>> send(Client& client, std::uint16_t port) {
  ClientRequest request;
  request.origin.host = "127.0.0.1";
  request.origin.port = port;
  request.target = "/thread";
  ClientResponse response = co_await client.send(std::move(request));
  std::string body = co_await read_all(*response.body, 100);
  co_return std::pair(std::move(body), this_thread());
}

TEST_F(EventLoopsTest, ClientsKeepAConnectionPerLoop) {
  start(2);
  EventLoops senders(2);
  ClientOptions options;
  options.on_senders_loop = true;
  Client client(senders.first(), options);
  const auto from = [&](std::size_t loop) {
    return asio::co_spawn(senders.executors()[loop], send(client, server_->port()),
                          asio::use_future)
        .get();
  };
  const auto first = from(0), second = from(1);
  EXPECT_NE(first.second, second.second);
  EXPECT_NE(first.first, second.first);  // another connection, so on the server's other loop
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(from(0), first);
    EXPECT_EQ(from(1), second);
  }
  EXPECT_EQ(server_->connections(), 2u);
}

}  // namespace
}  // namespace tessera::http
