// An upstream that answers at once, so that what is measured in front of it is the gateway alone.
//
//   mock_upstream [worker …] --unix-socket PATH [anything else is ignored]
//
// Takes the arguments of `tessera worker`, so `tessera serve --worker-executable mock_upstream`
// puts it behind an endpoint. Chat requests get one fixed answer, as JSON or as 32 events.

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "http/server.h"

namespace {

using namespace tessera;

constexpr int kEvents = 32;

const char* const kPlain =
    R"({"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion","created":1767225600,)"
    R"("model":"mock","choices":[{"index":0,"message":{"role":"assistant","content":"Lima is the capital of Peru.",)"
    R"("refusal":null},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":46,)"
    R"("completion_tokens":7,"total_tokens":53},"system_fingerprint":"fp_0123456789"})";

std::string event(const char* choices, int tokens) {
  const std::string n = std::to_string(tokens), total = std::to_string(46 + tokens);
  return std::string(
             "data: {\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":"
             "\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"mock\",\"system_"
             "fingerprint\":\"fp_0123456789\",\"choices\":[") +
         choices + "],\"usage\":{\"prompt_tokens\":46,\"completion_tokens\":" + n +
         ",\"total_tokens\":" + total + "}}\n\n";
}

class Events : public http::BodyStream {
 public:
  boost::asio::awaitable<std::optional<std::string>> next() override {
    ++sent_;
    if (sent_ <= kEvents) {
      co_return event(
          R"({"index":0,"delta":{"content":"word "},"finish_reason":null,"logprobs":null})", sent_);
    }
    if (sent_ == kEvents + 1) {
      co_return event(R"({"index":0,"delta":{},"finish_reason":"stop","logprobs":null})", kEvents) +
          event("", kEvents) + "data: [DONE]\n\n";
    }
    co_return std::nullopt;
  }

 private:
  int sent_ = 0;
};

boost::asio::awaitable<http::Response> answer(http::Request request) {
  if (request.body.find("\"stream\":true") == std::string::npos) {
    co_return http::Response::json(kPlain);
  }
  http::Response response;
  response.headers.set("Content-Type", "text/event-stream");
  response.stream = std::make_unique<Events>();
  co_return response;
}

boost::asio::awaitable<http::Response> ready(http::Request) {
  co_return http::Response::json("{}");
}

}  // namespace

int main(int argc, char** argv) {
  http::ServerOptions options;
  for (int i = 1; i + 1 < argc; ++i) {
    if (!std::strcmp(argv[i], "--unix-socket")) options.unix_path = argv[i + 1];
  }
  if (options.unix_path.empty()) {
    std::cerr << "mock_upstream: --unix-socket PATH is missing\n";
    return 2;
  }
  boost::asio::io_context io(1);
  http::Router router;
  router.add("GET", "/ready", ready);
  router.add("GET", "/health", ready);
  router.add("POST", "/v1/chat/completions", answer);
  http::Server server(io.get_executor(), router, options);
  server.start();
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([](auto, auto) { std::_Exit(0); });
  io.run();
}
