// An upstream that answers at once, so that what is measured in front of it is the gateway alone.
//
//   mock_upstream [worker …] --unix-socket PATH [anything else is ignored]
//
// Takes the arguments of `tessera worker`, so `tessera serve --worker-executable mock_upstream`
// puts it behind an endpoint. Chat requests get one fixed answer, as JSON or as 32 events.
//
//   mock_upstream --port N --canned FILE [--pause-ms P]
//
// Repeats what it was told, on loopback: FILE is a list of {"path": without query, "stream":
// whether the request asks for one in its body, "content_type", "headers": {}, and either "body" or
// "pieces": [], both base64}. Nothing here knows a dialect; see providers.py.

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>

#include "base/json.h"
#include "base/strings.h"
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

struct Canned {
  http::Headers headers;
  std::string body;
  std::vector<std::string> pieces;  // of a stream, each sent alone
};
// By path and whether the body asks for a stream. Filled before the server starts.
std::map<std::pair<std::string, bool>, Canned> canned_answers;

std::string decoded(const json::value& text) { return base64_decode(text.as_string()).value(); }

void read_canned(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const json::value entries = parse_json(text);
  for (const json::value& value : entries.as_array()) {
    const json::object& o = value.as_object();
    Canned canned;
    canned.headers.set("Content-Type", std::string(o.at("content_type").as_string()));
    for (const auto& [name, header] : o.at("headers").as_object()) {
      canned.headers.set(name, std::string(header.as_string()));
    }
    if (o.contains("body")) canned.body = decoded(o.at("body"));
    if (o.contains("pieces")) {
      for (const json::value& piece : o.at("pieces").as_array()) {
        canned.pieces.push_back(decoded(piece));
      }
    }
    canned_answers[{std::string(o.at("path").as_string()), o.at("stream").as_bool()}] =
        std::move(canned);
  }
}

// After its first pieces a stream pauses, as models do, so that those are seen to arrive alone; it
// is a few because some dialects begin with pieces that carry no text.
constexpr std::size_t kBeforePause = 8;
std::chrono::milliseconds stream_pause{0};

class Pieces : public http::BodyStream {
 public:
  explicit Pieces(const std::vector<std::string>& pieces) : pieces_(pieces) {}
  boost::asio::awaitable<std::optional<std::string>> next() override {
    if (sent_ == pieces_.size()) co_return std::nullopt;
    if (sent_ == kBeforePause && stream_pause.count() > 0) {
      boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
      timer.expires_after(stream_pause);
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    co_return pieces_[sent_++];
  }

 private:
  const std::vector<std::string>& pieces_;
  std::size_t sent_ = 0;
};

boost::asio::awaitable<http::Response> repeat(http::Request request) {
  const std::string path = request.target.substr(0, request.target.find('?'));
  const bool stream = request.body.find("\"stream\":true") != std::string::npos;
  const auto found = canned_answers.find({path, stream});
  if (found == canned_answers.end()) {
    co_return http::Response::json("{\"error\":{\"message\":\"nothing canned\"}}", 404);
  }
  http::Response response;
  response.headers = found->second.headers;
  response.body = found->second.body;
  if (!found->second.pieces.empty()) {
    response.stream = std::make_unique<Pieces>(found->second.pieces);
  }
  co_return response;
}

boost::asio::awaitable<http::Response> ready(http::Request) {
  co_return http::Response::json("{}");
}

}  // namespace

int main(int argc, char** argv) {
  http::ServerOptions options;
  int port = 0;
  for (int i = 1; i + 1 < argc; ++i) {
    if (!std::strcmp(argv[i], "--unix-socket")) options.unix_path = argv[i + 1];
    if (!std::strcmp(argv[i], "--port")) port = std::atoi(argv[i + 1]);
    if (!std::strcmp(argv[i], "--canned")) read_canned(argv[i + 1]);
    if (!std::strcmp(argv[i], "--pause-ms")) {
      stream_pause = std::chrono::milliseconds(std::atoi(argv[i + 1]));
    }
  }
  if (options.unix_path.empty() && port == 0) {
    std::cerr << "mock_upstream: --unix-socket PATH or --port N is missing\n";
    return 2;
  }
  options.port = static_cast<std::uint16_t>(port);
  http::EventLoops loop(1);
  http::Router router;
  router.add("GET", "/ready", ready);
  router.add("GET", "/health", ready);
  if (canned_answers.empty()) {
    router.add("POST", "/v1/chat/completions", answer);
  } else {
    router.add("POST", "/{rest...}", repeat);
  }
  http::Server server(loop, router, options);
  server.start();
  boost::asio::io_context io;
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([](auto, auto) { std::_Exit(0); });
  io.run();
}
