#include "app/load.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cmath>
#include <random>

#include "base/error.h"
#include "base/json.h"
#include "http/sse.h"

namespace tessera::app {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options), client_(io_.get_executor()) {}

  LoadResult run() {
    const auto begin = Clock::now();
    for (int c = 0; c < options_.clients; ++c) {
      boost::asio::co_spawn(io_, run_client(c), boost::asio::detached);
    }
    io_.run();
    result_.seconds = ms_since(begin) / 1000;
    return std::move(result_);
  }

 private:
  boost::asio::awaitable<void> run_client(int index) {
    std::mt19937_64 random(options_.seed * 1'000'003 + index);
    for (int r = 0; r < options_.requests_per_client; ++r) {
      std::string failure;
      try {
        if (options_.embeddings) {
          co_await embed(random);
        } else {
          co_await complete(random);
        }
        ++result_.answers;
      } catch (const std::exception& error) {
        failure = error.what();
      }
      if (!failure.empty()) {
        if (result_.failures++ == 0) result_.first_failure = failure;
      }
    }
  }

  json::array random_prompt(std::mt19937_64& random) {
    // Special tokens tend to sit at both ends of a vocabulary; stay clear of them.
    std::uniform_int_distribution<int> id(options_.vocab_size / 10, options_.vocab_size * 9 / 10);
    json::array prompt;
    for (int i = 0; i < options_.prompt_tokens; ++i) prompt.push_back(id(random));
    return prompt;
  }

  http::ClientRequest request(std::string path, const json::object& body) {
    http::ClientRequest request;
    request.origin = options_.origin;
    request.method = "POST";
    request.target = options_.base_path + path;
    request.headers.set("Content-Type", "application/json");
    if (!options_.token.empty()) request.headers.set("Authorization", "Bearer " + options_.token);
    request.body = to_json(body);
    return request;
  }

  boost::asio::awaitable<http::ClientResponse> send(http::ClientRequest request) {
    auto response = co_await client_.send(std::move(request));
    if (response.status != 200) {
      throw Error(ErrorKind::kUpstreamBadGateway,
                  std::to_string(response.status) + " " +
                      co_await http::read_all(*response.body, 1u << 20));
    }
    co_return response;
  }

  boost::asio::awaitable<void> embed(std::mt19937_64& random) {
    const auto begin = Clock::now();
    // Built outside the co_await: g++ 12 mishandles initialiser lists inside one.
    json::object body;
    body["model"] = options_.model;
    body["input"] = random_prompt(random);
    auto response = co_await send(request("/embeddings", body));
    co_await http::read_all(*response.body, 64u << 20);
    result_.ttft_ms.push_back(ms_since(begin));
    result_.prompt_tokens += options_.prompt_tokens;
  }

  boost::asio::awaitable<void> complete(std::mt19937_64& random) {
    json::object body;
    body["model"] = options_.model;
    body["prompt"] = random_prompt(random);
    body["max_tokens"] = options_.max_tokens;
    body["temperature"] = 0;
    body["ignore_eos"] = true;
    body["stream"] = true;
    body["stream_options"] = json::object{{"include_usage", true}};
    body["cache_prompt"] = false;  // llama.cpp's name for "compute everything"
    const auto begin = Clock::now();
    auto last = begin;
    auto response = co_await send(request("/completions", body));
    http::SseParser parser;
    bool first = true;
    while (auto piece = co_await response.body->next()) {
      for (const http::SseEvent& event : parser.feed(*piece)) {
        if (event.data == "[DONE]") co_return;
        const json::object chunk = parse_json_object(event.data);
        if (chunk.contains("error")) throw Error(ErrorKind::kUpstreamBadGateway, event.data);
        if (const json::object* usage = get_object(chunk, "usage")) {
          result_.generated_tokens += get_int(*usage, "completion_tokens").value_or(0);
          result_.prompt_tokens += get_int(*usage, "prompt_tokens").value_or(0);
        }
        const json::array* choices = get_array(chunk, "choices");
        if (!choices || choices->empty()) continue;
        (first ? result_.ttft_ms : result_.itl_ms).push_back(ms_since(first ? begin : last));
        first = false;
        last = Clock::now();
      }
    }
    throw Error(ErrorKind::kUpstreamBadGateway, "the stream ended without [DONE]");
  }

  const LoadOptions& options_;
  boost::asio::io_context io_{1};
  http::Client client_;
  LoadResult result_;
};

}  // namespace

LoadResult run_load(const LoadOptions& options) { return Load(options).run(); }

double percentile(std::vector<double> samples, double percent) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * samples.size()));
  return samples[std::clamp<std::size_t>(rank, 1, samples.size()) - 1];
}

}  // namespace tessera::app
