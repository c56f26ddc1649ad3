#include "worker/worker.h"

#include "api/error_json.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process_memory.h"
#include "engine/model_assets.h"
#include "http/sse.h"
#include "worker/chat_handler.h"
#include "worker/completion_handler.h"
#include "worker/embed_handler.h"
#include "worker/served_model.h"
#include "worker/worker_metrics.h"

namespace tessera {
namespace {

// Memory that parsing needed is given back before the weights come.
ModelAssets load_assets_first(const std::filesystem::path& path) {
  ModelAssets assets = load_assets(path);
  release_startup_memory();
  return assets;
}

EngineOptions with_vocabulary(EngineOptions options, const Tokenizer& tokenizer) {
  options.usable_vocab = tokenizer.vocab_size();
  for (std::int32_t id : tokenizer.end_of_generation_ids()) options.eos_token_ids.push_back(id);
  return options;
}

std::string default_name(const std::filesystem::path& path) {
  std::filesystem::path last =
      path.filename().empty() ? path.parent_path().filename() : path.filename();
  if (last.extension() == ".gguf") last = last.stem();
  return last.string();
}

// Whatever changes the logits of equal requests changes this (data-plane 2.14).
std::string fingerprint(const ModelAssets& assets, const EngineOptions& options) {
  const std::string parts = assets.digest + "/" +
                            std::to_string(static_cast<int>(options.weight_format)) + "/" +
                            std::to_string(static_cast<int>(options.kv_type));
  return "fp_" + sha256_hex(parts).substr(0, 10);
}

api::ParseOptions parse_options(const WorkerOptions& options, const Tokenizer& tokenizer) {
  auto parsing = api::ParseOptions::for_profile(options.behind_gateway ? api::Profile::kInternal
                                                                       : api::Profile::kOpen);
  parsing.vocab_size = tokenizer.vocab_size();
  parsing.max_output_tokens = options.max_output_tokens;
  return parsing;
}

// What went wrong inside is for the log; the client gets the id to ask with (data-plane 5.3).
Error outward(const Error& error, const http::Request& request) {
  if (error.kind != ErrorKind::kEngineFailure && error.kind != ErrorKind::kInternal) return error;
  log_error("worker", "request failed", {{"request_id", request.id}, {"reason", error.message}});
  Error shown = error;
  shown.message = "The model failed to answer this request (request id " + request.id + ").";
  return shown;
}

http::Response present(const Error& error, const http::Request& request) {
  const Error shown = outward(error, request);
  http::Response response = http::Response::json(
      api::error_json(shown, api::ErrorStyle::kOpenAi, request.id), http_status(shown.kind));
  for (auto& [name, value] : api::retry_headers(shown)) response.headers.set(name, value);
  return response;
}

std::string present_in_stream(const Error& error, const http::Request& request) {
  return http::sse_data(api::stream_error_json(outward(error, request)));
}

}  // namespace

struct Worker::Impl {
  Impl(http::asio::any_io_executor executor, WorkerOptions given)
      : options(std::move(given)),
        assets(load_assets_first(options.engine.model_path)),
        engine(with_vocabulary(options.engine, *assets.tokenizer)),
        model{.engine = engine,
              .assets = assets,
              .metrics = metrics,
              .name = options.served_model_name.empty() ? default_name(options.engine.model_path)
                                                        : options.served_model_name,
              .fingerprint = fingerprint(assets, options.engine),
              .parsing = parse_options(options, *assets.tokenizer),
              .max_output_tokens = options.max_output_tokens,
              .parse_special_in_content = options.parse_special_in_content,
              .sends_pings = !options.behind_gateway},
        created_s(now_s()) {
    const ModelInfo& info = engine.info();
    log_info("worker", "model loaded",
             {{"model", model.name},
              {"architecture", info.architecture},
              {"weight_mib", info.weight_bytes >> 20},
              {"max_model_len", engine.max_model_len()},
              {"kv_blocks", engine.stats().kv_blocks}});
    metrics.set_weight_bytes(info.weight_bytes);
    release_startup_memory();
    add_routes();
    server = std::make_unique<http::Server>(std::move(executor), router, options.server);
  }

  void add_routes() {
    const http::RouteOptions bodies{options.max_body_bytes};
    router.add(
        "POST", "/v1/chat/completions",
        [this](http::Request request) { return handle_chat(model, std::move(request)); }, bodies);
    router.add(
        "POST", "/v1/completions",
        [this](http::Request request) { return handle_completion(model, std::move(request)); },
        bodies);
    router.add(
        "POST", "/v1/embeddings",
        [this](http::Request request) { return handle_embeddings(model, std::move(request)); },
        bodies);
    router.add("GET", "/v1/models", [this](http::Request) { return list_models(); });
    router.add("GET", "/v1/models/{name}",
               [this](http::Request request) { return get_model(std::move(request)); });
    router.add("GET", "/health", [](http::Request) { return say("ok"); });
    // The socket is bound after the model is loaded, so whoever can ask can be answered.
    router.add("GET", "/ready", [](http::Request) { return say("ready"); });
    router.add("GET", "/metrics", [this](http::Request) { return get_metrics(); });
    router.present_errors("/", present, present_in_stream);
  }

  static http::asio::awaitable<http::Response> say(std::string_view status) {
    json::object body;
    body["status"] = status;
    co_return http::Response::json(to_json(body));
  }

  json::object describe() const {
    json::object entry;
    entry["id"] = model.name;
    entry["object"] = "model";
    entry["created"] = created_s;
    entry["owned_by"] = "tessera";
    entry["task"] = engine.info().is_embedding        ? "llm/v1/embeddings"
                    : assets.chat_template != nullptr ? "llm/v1/chat"
                                                      : "llm/v1/completions";
    entry["max_model_len"] = engine.max_model_len();
    return entry;
  }

  http::asio::awaitable<http::Response> list_models() {
    json::object body;
    body["object"] = "list";
    body["data"] = json::array{describe()};
    co_return http::Response::json(to_json(body));
  }

  http::asio::awaitable<http::Response> get_model(http::Request request) {
    const std::string& name = request.params.find("name")->second;
    if (name != model.name) {
      throw Error(
          ErrorKind::kEndpointNotFound,
          "The model '" + name + "' does not exist; this worker serves '" + model.name + "'.",
          "model");
    }
    co_return http::Response::json(to_json(describe()));
  }

  http::asio::awaitable<http::Response> get_metrics() {
    http::Response response;
    response.headers.set("content-type", "text/plain; version=0.0.4; charset=utf-8");
    response.body = metrics.text(engine.stats());
    co_return response;
  }

  const WorkerOptions options;
  const ModelAssets assets;
  WorkerMetrics metrics;
  Engine engine;
  const ServedModel model;
  const std::int64_t created_s;
  http::Router router;
  std::unique_ptr<http::Server> server;
};

Worker::Worker(http::asio::any_io_executor executor, WorkerOptions options)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(options))) {}

Worker::~Worker() = default;

void Worker::start() { impl_->server->start(); }

std::uint16_t Worker::port() const { return impl_->server->port(); }
const std::string& Worker::served_model_name() const { return impl_->model.name; }
const Engine& Worker::engine() const { return impl_->engine; }

http::asio::awaitable<int> Worker::drain(std::chrono::milliseconds deadline) {
  return impl_->server->drain(deadline);
}

}  // namespace tessera
