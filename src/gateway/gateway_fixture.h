// Test support: a gateway on a free port, fake workers on Unix sockets, and a client, all in this
// process. A fake worker does what the last message of the request says.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "api/chat.h"
#include "api/completion.h"
#include "api/embedding.h"
#include "api/error_json.h"
#include "api/stream_fold.h"
#include "base/crypto.h"
#include "base/json.h"
#include "catalog/snapshot.h"
#include "gateway/gateway.h"
#include "http/client.h"
#include "http/server.h"
#include "http/sse.h"

namespace tessera::gateway {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// --- The fake worker ---

// Pieces with pauses; tells when it was dropped before its end.
class ScriptedBody final : public http::BodyStream {
 public:
  ScriptedBody(std::vector<std::string> pieces, std::chrono::milliseconds pause,
               std::atomic<int>& dropped)
      : pieces_(std::move(pieces)), pause_(pause), dropped_(dropped) {}
  ~ScriptedBody() override {
    if (at_ < pieces_.size()) ++dropped_;
  }
  asio::awaitable<std::optional<std::string>> next() override {
    if (at_ == pieces_.size()) co_return std::nullopt;
    if (at_ > 0 && pause_ > 0ms) {
      asio::steady_timer timer(co_await asio::this_coro::executor, pause_);
      co_await timer.async_wait(asio::use_awaitable);
    }
    co_return pieces_[at_++];
  }

 private:
  std::vector<std::string> pieces_;
  std::chrono::milliseconds pause_;
  std::atomic<int>& dropped_;
  std::size_t at_ = 0;
};

class FakeWorker {
 public:
  FakeWorker(asio::any_io_executor executor, std::string name, std::filesystem::path socket)
      : name_(std::move(name)), socket_(std::move(socket)) {
    const http::RouteOptions large{.max_body_bytes = 64u << 20};
    router_.add(
        "POST", "/v1/chat/completions", [this](http::Request r) { return chat(r); }, large);
    router_.add(
        "POST", "/v1/completions", [this](http::Request r) { return completions(r); }, large);
    router_.add(
        "POST", "/v1/embeddings", [this](http::Request r) { return embeddings(r); }, large);
    http::ServerOptions options;
    options.unix_path = socket_;
    server_.emplace(executor, router_, options);
    server_->start();
  }

  std::string socket() const { return socket_; }
  int dropped() const { return dropped_; }
  int served() const { return served_; }
  std::string last_body() const {
    std::lock_guard lock(mutex_);
    return last_body_;
  }
  http::Headers last_headers() const {
    std::lock_guard lock(mutex_);
    return last_headers_;
  }

 private:
  static api::ParseOptions internal() {
    return api::ParseOptions::for_profile(api::Profile::kInternal);
  }

  void note(const http::Request& request) {
    ++served_;
    std::lock_guard lock(mutex_);
    last_body_ = request.body;
    last_headers_ = request.headers;
  }

  static api::Usage usage(int tokens) {
    return {.prompt_tokens = 7, .completion_tokens = tokens, .total_tokens = 7 + tokens};
  }

  // The words "a b c" as chunks, each with running usage, like a real worker's.
  std::vector<api::ChatChunk> chunks(const std::string& model) const {
    const api::ChatChunk base{
        .id = "chatcmpl-1", .created = 5, .model = model, .system_fingerprint = "fp_1"};
    std::vector<api::ChatChunk> out;
    const auto add = [&](api::ChatChunkChoice choice, int tokens) {
      out.push_back(base);
      out.back().choices.push_back(std::move(choice));
      out.back().usage = usage(tokens);
    };
    add({.delta = {.role = true, .content = ""}}, 0);
    add({.delta = {.content = "a"}}, 1);
    add({.delta = {.content = " b"}}, 2);
    add({.delta = {.content = " " + name_}}, 3);
    add({.finish_reason = api::FinishReason::kStop}, 4);
    out.push_back(base);
    out.back().usage = usage(4);
    return out;
  }  // Commands: "status N", "garbage", "slow MS", and for streams "unfinished", "fail", "silent",
  // "one piece", "single bytes"; anything else is answered.
  std::optional<http::Response> misbehave(const std::string& command) const {
    if (!command.starts_with("status ")) return std::nullopt;
    const int status = std::stoi(command.substr(7));
    Error error(ErrorKind::kInternal, "as told: " + command);
    if (status == 400) {
      error.kind = ErrorKind::kContextLengthExceeded;
      error.param = "messages";
      error.extra = {{"n_ctx", 10}, {"n_prompt_tokens", 12}};
    }
    if (status == 429) error.kind = ErrorKind::kQueueFull;
    if (status == 503) error.kind = ErrorKind::kNotReady;
    http::Response response =
        http::Response::json(api::error_json(error, api::ErrorStyle::kOpenAi), status);
    if (status == 429) response.headers.set("retry-after", "7");
    return response;
  }

  http::Response streamed(std::vector<std::string> pieces, std::chrono::milliseconds pause = {}) {
    http::Response response;
    response.headers.set("content-type", "text/event-stream");
    response.stream = std::make_unique<ScriptedBody>(std::move(pieces), pause, dropped_);
    return response;
  }

  asio::awaitable<http::Response> chat(http::Request http_request) {
    note(http_request);
    const api::ChatRequest request =
        api::parse_chat_request(api::Body(http_request.body), internal());
    std::string command = request.messages.back().content.value_or("");
    // "B only: status 503" is a command for the worker named B.
    if (const auto colon = command.find(" only: "); colon != std::string::npos) {
      command = command.substr(0, colon) == name_ ? command.substr(colon + 7) : "hello";
    }
    if (auto response = misbehave(command)) co_return std::move(*response);
    if (command == "garbage") co_return http::Response::json("<html>");
    std::chrono::milliseconds pause{0};
    if (command.starts_with("slow ")) {
      pause = std::chrono::milliseconds(std::stoi(command.substr(5)));
      if (!request.generation.stream) {
        asio::steady_timer timer(co_await asio::this_coro::executor, pause);
        co_await timer.async_wait(asio::use_awaitable);
      }
    }
    std::vector<api::ChatChunk> answer = chunks(request.common.model);
    if (!request.generation.stream) {
      api::ChatFold fold;
      for (api::ChatChunk& chunk : answer) fold.add(std::move(chunk));
      http::Response response = http::Response::json(to_json(fold.finish()));
      if (http_request.headers.get("x-tessera-timings")) {
        response.headers.set("x-tessera-timings", "{\"queue_ms\":1.0}");
      }
      co_return response;
    }
    std::vector<std::string> pieces;
    for (const api::ChatChunk& chunk : answer) pieces.push_back(http::sse_data(to_json(chunk)));
    pieces.push_back("data: [DONE]\n\n");
    if (command == "unfinished") pieces.resize(2);
    if (command == "fail") {
      pieces.resize(2);
      pieces.push_back(http::sse_data(
          api::stream_error_json(Error(ErrorKind::kEngineFailure, "the engine gave up"))));
    }
    if (command == "silent") pieces.resize(0);  // ends at once, without an event
    if (command == "one piece") {
      std::string all;
      for (const std::string& piece : pieces) all += piece;
      pieces = {all};
    }
    if (command == "single bytes") {
      std::string all;
      for (const std::string& piece : pieces) all += piece;
      pieces.clear();
      for (const char c : all) pieces.emplace_back(1, c);
    }
    co_return streamed(std::move(pieces), pause);
  }

  asio::awaitable<http::Response> completions(http::Request http_request) {
    note(http_request);
    const api::CompletionRequest request =
        api::parse_completion_request(api::Body(http_request.body), internal());
    api::CompletionResponse response{.id = "cmpl-1", .created = 5, .model = request.common.model};
    response.choices.push_back({.text = "done", .finish_reason = api::FinishReason::kLength});
    response.usage = usage(1);
    if (!request.generation.stream) co_return http::Response::json(to_json(response));
    api::CompletionResponse last = response;
    last.choices.clear();
    co_return streamed(
        {http::sse_data(to_json(response)), http::sse_data(to_json(last)), "data: [DONE]\n\n"});
  }

  asio::awaitable<http::Response> embeddings(http::Request http_request) {
    note(http_request);
    const api::EmbeddingRequest request =
        api::parse_embedding_request(api::Body(http_request.body), internal());
    api::EmbeddingResponse response{.id = "embd-1", .model = request.common.model};
    response.data.assign(request.inputs.size(), {0.5f, -0.25f, 1.0f});
    response.usage.prompt_tokens = response.usage.total_tokens = 2;
    co_return http::Response::json(to_json(response, request.encoding_format));
  }

  std::string name_, socket_;
  http::Router router_;
  mutable std::mutex mutex_;  // guards last_body_, last_headers_
  std::string last_body_;
  http::Headers last_headers_;
  std::atomic<int> dropped_{0}, served_{0};
  std::optional<http::Server> server_;
};

// A process that is killed: takes one connection at a time, reads, writes what it was told to, and
// closes. (FakeWorker's server would tell of a failure in good order.)
class DyingWorker {
 public:
  DyingWorker(asio::any_io_executor executor, std::filesystem::path socket, std::string answer)
      : socket_(std::move(socket)),
        answer_(std::move(answer)),
        acceptor_(executor, asio::local::stream_protocol::endpoint(socket_)) {
    done_ = asio::co_spawn(acceptor_.get_executor(), serve(), asio::use_future);
  }
  ~DyingWorker() {
    asio::post(acceptor_.get_executor(), [this] { acceptor_.close(); });
    done_.wait();
  }
  std::string socket() const { return socket_; }

 private:
  asio::awaitable<void> serve() {
    try {
      for (;;) {
        auto connection = co_await acceptor_.async_accept(asio::use_awaitable);
        char buffer[65536];
        co_await connection.async_read_some(asio::buffer(buffer), asio::use_awaitable);
        co_await asio::async_write(connection, asio::buffer(answer_), asio::use_awaitable);
      }
    } catch (const boost::system::system_error&) {  // the acceptor was closed
    }
  }

  std::string socket_, answer_;
  asio::local::stream_protocol::acceptor acceptor_;
  std::future<void> done_;
};

// --- Everything together ---

struct Reply {
  int status = 0;
  http::Headers headers;
  std::string body;
  json::object tree() const { return parse_json_object(body); }
  std::string header(std::string_view name) const {
    return std::string(headers.get(name).value_or(""));
  }
};

class GatewayTest : public testing::Test {
 protected:
  static constexpr const char* kToken = "dapi-admin";

  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("tessera-" + uuid_v4());
    std::filesystem::create_directory(folder_);
    client_.emplace(pool_.get_executor());
    a_.emplace(pool_.get_executor(), "A", folder_ / "a.sock");
    b_.emplace(pool_.get_executor(), "B", folder_ / "b.sock");
    publish(default_endpoints());
  }

  void TearDown() override {
    server_.reset();
    gateway_.reset();
    a_.reset();
    b_.reset();
    client_.reset();
    pool_.join();
    std::filesystem::remove_all(folder_);
  }

  // Started by the first request, so that a test can set options before.
  void start() {
    if (gateway_) return;
    gateway_.emplace(
        snapshots_, *client_, metrics_,
        [this](catalog::UsageRecord record) {
          std::lock_guard lock(mutex_);
          records_.push_back(std::move(record));
          recorded_.notify_all();
        },
        options_);
    gateway_->mount(router_);
    http::ServerOptions server_options;
    server_options.port = 0;
    server_options.stream_head_delay = options_.stream_head_delay;
    server_.emplace(pool_.get_executor(), router_, server_options);
    server_->start();
  }

  // --- The catalog ---

  catalog::ServedEntity entity(const std::string& name, std::vector<std::string> sockets,
                               catalog::Task task = catalog::Task::kChat) const {
    catalog::ServedEntity entity;
    entity.name = name;
    entity.id = "id-" + name;
    entity.entity_name = "system.ai." + name;
    entity.entity_version = "1";
    entity.task = task;
    entity.model_id = "model-" + name;
    entity.max_model_len = 8192;
    entity.deployment = catalog::Deployment::kReady;
    entity.sockets = std::move(sockets);
    return entity;
  }

  catalog::Endpoint endpoint(const std::string& name, std::vector<catalog::ServedEntity> entities,
                             std::vector<int> percentages = {100}) const {
    catalog::Endpoint endpoint;
    endpoint.name = name;
    endpoint.id = "id-of-" + name;
    endpoint.creator = "admin@example.com";
    endpoint.creation_timestamp_ms = 1'700'000'000'000;
    endpoint.task = entities.front().task;
    catalog::EndpointConfig config;
    config.config_version = 1;
    for (std::size_t i = 0; i < entities.size(); ++i) {
      config.traffic.routes.push_back({entities[i].name, percentages.at(i)});
    }
    config.entities = std::move(entities);
    endpoint.active = std::move(config);
    return endpoint;
  }

  std::vector<catalog::Endpoint> default_endpoints() const {
    catalog::Endpoint open = endpoint("open", {entity("a", {a_->socket()})});
    open.settings.api_profile = catalog::ApiProfile::kOpen;
    return {endpoint("chat", {entity("a", {a_->socket()})}), open,
            endpoint("embed", {entity("e", {a_->socket()}, catalog::Task::kEmbeddings)}),
            endpoint("complete", {entity("c", {a_->socket()}, catalog::Task::kCompletions)}),
            endpoint("both", {entity("a", {a_->socket()}), entity("b", {b_->socket()})}, {100, 0})};
  }

  void publish(std::vector<catalog::Endpoint> endpoints,
               std::vector<catalog::Tombstone> tombstones = {}) {
    catalog::Snapshot::Endpoints shared;
    for (catalog::Endpoint& endpoint : endpoints) {
      shared.push_back(std::make_shared<const catalog::Endpoint>(std::move(endpoint)));
    }
    catalog::Principal admin{.id = 1, .name = "admin@example.com", .groups = {"admins", "users"}};
    catalog::Principal guest{.id = 2, .name = "guest@example.com", .groups = {"users"}};
    const auto token = [](std::string_view text, const catalog::Principal& principal,
                          std::int64_t expiry = -1) {
      return catalog::TokenEntry{
          {.id = sha256_hex(text), .principal_id = principal.id, .expiry_time_ms = expiry},
          std::make_shared<const catalog::Principal>(principal)};
    };
    snapshots_.publish(std::make_shared<const catalog::Snapshot>(
        std::move(shared),
        std::vector<catalog::TokenEntry>{token(kToken, admin), token("dapi-guest", guest),
                                         token("dapi-old", admin, 1)},
        std::move(tombstones)));
  }

  // --- The client ---

  http::ClientRequest request(const std::string& path, std::string body = {},
                              const http::Headers& headers = {}) {
    start();
    http::ClientRequest request;
    request.origin.host = "127.0.0.1";
    request.origin.port = server_->port();
    request.method = body.empty() ? "GET" : "POST";
    request.target = path;
    request.headers = headers;
    if (!headers.get("authorization")) {
      request.headers.set("authorization", "Bearer " + std::string(kToken));
    }
    request.body = std::move(body);
    return request;
  }  // Status 0 when there was no answer. (No exception may cross a future: thread sanitizer cannot
     // see
  // libstdc++ count the references to it.)
  asio::awaitable<Reply> exchange(http::ClientRequest request) {
    Reply reply;
    try {
      http::ClientResponse response = co_await client_->send(std::move(request));
      reply.headers = response.headers;
      reply.body = co_await http::read_all(*response.body, 64u << 20);
      reply.status = response.status;
    } catch (const Error& error) {
      reply.body = error.message;
    }
    co_return reply;
  }

  Reply send(http::ClientRequest request) {
    return asio::co_spawn(asio::make_strand(pool_), exchange(std::move(request)), asio::use_future)
        .get();
  }
  Reply post(const std::string& path, std::string body, const http::Headers& headers = {}) {
    return send(request(path, std::move(body), headers));
  }
  Reply get(const std::string& path, const http::Headers& headers = {}) {
    return send(request(path, {}, headers));
  }

  static http::Headers header(const std::string& name, const std::string& value) {
    http::Headers headers;
    headers.set(name, value);
    return headers;
  }

  // {"messages": [user says text], …members}
  static std::string say(const std::string& text, const std::string& members = {}) {
    std::string body = R"({"messages":[{"role":"user","content":)";
    append_json_string(body, text);
    return body + "}]" + (members.empty() ? "" : ",") + members + "}";
  }

  // The events of a stream, their `data` only.
  static std::vector<std::string> events(const std::string& body) {
    std::vector<std::string> out;
    for (const http::SseEvent& event : http::SseParser().feed(body)) out.push_back(event.data);
    return out;
  }

  // Waits for the usage row number `index`: it is written after the client has its answer.
  catalog::UsageRecord record(std::size_t index = 0) {
    std::unique_lock lock(mutex_);
    if (!recorded_.wait_for(lock, 20s, [&] { return records_.size() > index; })) {
      ADD_FAILURE() << "no usage row " << index;
      return {};
    }
    return records_[index];
  }
  // How many usage rows there are once `expected` of them have been waited for.
  std::size_t record_count(std::size_t expected) {
    std::unique_lock lock(mutex_);
    recorded_.wait_for(lock, 20s, [&] { return records_.size() >= expected; });
    return records_.size();
  }

  asio::thread_pool pool_{2};
  std::filesystem::path folder_;
  GatewayOptions options_;
  catalog::SnapshotHolder snapshots_;
  Metrics metrics_;
  std::optional<http::Client> client_;
  std::optional<FakeWorker> a_, b_;
  std::optional<Gateway> gateway_;
  http::Router router_;
  std::optional<http::Server> server_;
  std::mutex mutex_;  // guards records_
  std::condition_variable recorded_;
  std::vector<catalog::UsageRecord> records_;
};

}  // namespace tessera::gateway
