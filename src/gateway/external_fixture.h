// Test support: a provider on a loopback port that answers what a test tells it to, and endpoints
// in front of it.
#pragma once

#include <boost/asio/redirect_error.hpp>

#include "base/strings.h"
#include "gateway/gateway_fixture.h"
#include "http/test_certificate.h"

namespace tessera::gateway {

class FakeProvider {
 public:
  struct Told {
    http::Response response;
    std::chrono::milliseconds delay{0};
  };
  using Answer = std::function<Told(const http::Request&)>;

  FakeProvider(asio::any_io_executor executor, std::optional<http::TlsFiles> tls = std::nullopt)
      : secure_(tls.has_value()) {
    for (const char* path :
         {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages",
          "/v1/messages/count_tokens", "/v1/responses", "/openai/v1/responses", "/v2/embed",
          "/token", "/", "/v1/chat", "/studio/v1/j2-mid/complete",
          "/openai/deployments/{d}/chat/completions", "/model/{m}/invoke",
          "/model/{m}/invoke-with-response-stream"}) {
      router_.add("POST", path, [this](http::Request r) { return handle(std::move(r)); });
    }
    for (const char* path : {"/image", "/elsewhere"}) {
      router_.add("GET", path, [this](http::Request r) { return handle(std::move(r)); });
    }
    http::ServerOptions options;
    options.port = 0;
    options.tls = std::move(tls);
    server_.emplace(executor, router_, options);
    server_->start();
  }

  std::string url(std::string_view host = "127.0.0.1") const {
    return (secure_ ? "https://" : "http://") + std::string(host) + ":" +
           std::to_string(server_->port());
  }
  void answer(Answer answer) {
    std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  int calls() const { return calls_; }
  int at_once() const { return most_at_once_; }
  int dropped() const { return dropped_; }
  http::Request last() const {
    std::lock_guard lock(mutex_);
    return copy(requests_.back());
  }
  http::Request request(std::size_t index) const {
    std::lock_guard lock(mutex_);
    return copy(requests_.at(index));
  }

  static http::Response json(std::string body, int status = 200,
                             std::vector<std::pair<std::string, std::string>> headers = {}) {
    http::Response response = http::Response::json(std::move(body), status);
    for (auto& [name, value] : headers) response.headers.set(name, value);
    return response;
  }
  http::Response stream(std::vector<std::string> pieces, std::chrono::milliseconds pause = {}) {
    http::Response response;
    response.headers.set("content-type", "text/event-stream");
    response.stream = std::make_unique<ScriptedBody>(std::move(pieces), pause, dropped_);
    return response;
  }

 private:
  static http::Request copy(const http::Request& request) {
    http::Request out;
    out.method = request.method;
    out.target = request.target;
    out.path = request.path;
    out.headers = request.headers;
    out.body = request.body;
    return out;
  }

  asio::awaitable<http::Response> handle(http::Request request) {
    ++calls_;
    const int now = ++at_once_;
    for (int most = most_at_once_; now > most && !most_at_once_.compare_exchange_weak(most, now);) {
    }
    Told told;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(copy(request));
      told = answer_(request);
    }
    if (told.delay > 0ms) {
      asio::steady_timer timer(co_await asio::this_coro::executor, told.delay);
      boost::system::error_code error;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (error) {
        ++dropped_;
        --at_once_;
        throw boost::system::system_error(error);
      }
    }
    --at_once_;
    co_return std::move(told.response);
  }

  bool secure_;
  http::Router router_;
  mutable std::mutex mutex_;  // guards answer_, requests_
  Answer answer_;
  std::vector<http::Request> requests_;
  std::atomic<int> calls_{0}, at_once_{0}, most_at_once_{0}, dropped_{0};
  std::optional<http::Server> server_;
};

class ExternalTest : public GatewayTest {
 protected:
  static constexpr const char* kKey = "sk-test-0123456789abcdef";

  void SetUp() override {
    GatewayTest::SetUp();
    http::ClientOptions options;
    options.addresses = http::AddressPolicy({"127.0.0.0/8"});
    options.ca_file = ca_file();
    client_.emplace(pool_.get_executor(), options);
    provider_.emplace(pool_.get_executor());
    provider_->answer([](const http::Request&) { return FakeProvider::Told{chat_answer()}; });
    publish({endpoint("gpt", {external("first")})});
  }
  void TearDown() override {
    server_.reset();
    gateway_.reset();
    provider_.reset();
    GatewayTest::TearDown();
  }
  virtual std::string ca_file() { return {}; }

  catalog::ServedEntity external(const std::string& name,
                                 std::map<std::string, std::string> config = {},
                                 catalog::Task task = catalog::Task::kChat,
                                 const std::string& provider = "openai") const {
    catalog::ServedEntity entity = GatewayTest::entity(name, {}, task);
    entity.kind = catalog::EntityKind::kExternalModel;
    entity.model_id.clear();
    catalog::ExternalModel model;
    model.provider = provider;
    model.name = "gpt-test";
    model.task = task;
    model.config = std::move(config);
    if (!model.config.contains("base_url_override")) {
      model.config["base_url_override"] = provider_->url();
    }
    for (const char* key : {"openai_api_key", "cohere_api_key", "anthropic_api_key"}) {
      model.secrets[key].value = kKey;
    }
    entity.external_model = std::move(model);
    return entity;
  }

  // Answers in turn; the last one again and again.
  void in_turn(std::vector<std::function<http::Response()>> answers) {
    auto at = std::make_shared<std::size_t>(0);
    provider_->answer([answers = std::move(answers), at](const http::Request&) {
      const std::size_t mine = std::min((*at)++, answers.size() - 1);
      return FakeProvider::Told{answers[mine]()};
    });
  }

  static http::Response chat_answer(
      const std::string& usage = R"({"prompt_tokens":9,"completion_tokens":2,"total_tokens":11})") {
    return FakeProvider::json(
        R"({"id":"chatcmpl-x","object":"chat.completion","created":7,"model":"gpt-test-2026",)"
        R"("choices":[{"index":0,"message":{"role":"assistant","content":"Two."},)"
        R"("finish_reason":"stop"}])" +
            (usage.empty() ? std::string() : ",\"usage\":" + usage) + "}",
        200, {{"request-id", "req-77"}});
  }
  static http::Response failure(int status,
                                std::vector<std::pair<std::string, std::string>> headers = {},
                                const std::string& code = "oops") {
    return FakeProvider::json(
        R"({"error":{"message":"as told","type":"server_error","param":null,"code":")" + code +
            R"("}})",
        status, std::move(headers));
  }
  static std::string chunk(const std::string& members) {
    return R"(data: {"id":"chatcmpl-s","object":"chat.completion.chunk","created":7,"model":"gpt-test-2026",)" +
           members + "}\n\n";
  }
  static std::vector<std::string> stream_pieces(bool usage = true) {
    std::vector<std::string> pieces = {
        chunk(
            R"("choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}])"),
        chunk(R"("choices":[{"index":0,"delta":{"content":"Two"},"finish_reason":null}])"),
        chunk(R"("choices":[{"index":0,"delta":{"content":"."},"finish_reason":null}])"),
        chunk(R"("choices":[{"index":0,"delta":{},"finish_reason":"stop"}])")};
    if (usage) {
      pieces.push_back(chunk(
          R"("choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11})"));
    }
    pieces.push_back("data: [DONE]\n\n");
    return pieces;
  }
  void streams(std::vector<std::string> pieces, std::chrono::milliseconds pause = {},
               std::chrono::milliseconds delay = {}) {
    provider_->answer([this, pieces = std::move(pieces), pause, delay](const http::Request&) {
      return FakeProvider::Told{provider_->stream(pieces, pause), delay};
    });
  }
  Reply chat(const std::string& members = {}, const std::string& endpoint = "gpt") {
    return post("/v1/chat/completions", say("1+1?", "\"model\":\"" + endpoint + "\"" +
                                                        (members.empty() ? "" : "," + members)));
  }
  static std::string code(const Reply& reply) {
    const json::object tree = reply.tree();
    const json::value* error = find_field(tree, "error");
    return error == nullptr ? reply.body : std::string(error->at("code").as_string());
  }

  std::optional<FakeProvider> provider_;
};

}  // namespace tessera::gateway
