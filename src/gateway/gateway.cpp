#include "gateway/gateway.h"

#include "base/clock.h"
#include "gateway/authenticate.h"
#include "gateway/invocation.h"
#include "gateway/models_list.h"
#include "gateway/present.h"

namespace tessera::gateway {
namespace {

using catalog::Task;

constexpr http::RouteOptions kQuery{.max_body_bytes = 32u << 20};  // the widest profile's limit
constexpr int kDrainRetrySeconds = 5;

// Sent to the routes of a later version, in place of a 404 that would blame the client.
http::asio::awaitable<http::Response> no_responses_api(http::Request) {
  throw Error(ErrorKind::kNotImplemented,
              "The Responses API is not supported yet; use chat/completions.");
  co_return http::Response();
}

}  // namespace

Gateway::Gateway(const catalog::SnapshotHolder& snapshots, http::Client& client, Metrics& metrics,
                 UsageSink usage_sink, GatewayOptions options)
    : options_(options),
      metrics_(metrics),
      usage_sink_(std::move(usage_sink)),
      services_{snapshots, client, metrics_, usage_sink_, options_} {}

void Gateway::check_draining() const {
  if (!draining_.load(std::memory_order_relaxed)) return;
  Error error(ErrorKind::kShuttingDown, "The server is shutting down; try again shortly.");
  error.retry_after_s = kDrainRetrySeconds;
  throw error;
}

void Gateway::mount(http::Router& router) {
  const auto query = [&](std::string_view pattern, QueryRoute route) {
    router.add(
        "POST", pattern,
        [this, route](http::Request request) {
          check_draining();
          return invoke(services_, std::move(request), route);
        },
        kQuery);
  };
  // Q1, Q2, Q12: the task's own body, whichever it is.
  query("/serving-endpoints/{name}/invocations", {.native = true});
  query("/serving-endpoints/{name}/served-models/{entity}/invocations", {.native = true});
  query("/{workspace}/serving-endpoints/{name}/invocations", {.native = true});
  // Q3–Q5, Q9–Q11: OpenAI's routes. Without {name} the body's `model` names the endpoint.
  const auto openai = [&](const std::string& base) {
    query(base + "/chat/completions", {.task = Task::kChat});
    query(base + "/completions", {.task = Task::kCompletions});
    query(base + "/embeddings", {.task = Task::kEmbeddings});
  };
  openai("/serving-endpoints");
  openai("/serving-endpoints/{name}");
  openai("/ai-gateway/mlflow/v1");
  if (options_.v1_routes) openai("/v1");
  // Q6 and its aliases.
  router.add("POST", "/serving-endpoints/responses", no_responses_api, kQuery);
  router.add("POST", "/ai-gateway/openai/v1/responses", no_responses_api, kQuery);
  if (options_.v1_routes) router.add("POST", "/v1/responses", no_responses_api, kQuery);
  // Q7, Q8.
  const auto models = [&](const std::string& base) {
    const auto list = [this](http::Request request) -> http::asio::awaitable<http::Response> {
      const auto snapshot = services_.snapshots.get();
      const catalog::Principal& principal = authenticate(request.headers, *snapshot, now_ms());
      const auto name = request.params.find("name");
      co_return http::Response::json(name == request.params.end()
                                         ? models_json(*snapshot, principal)
                                         : model_json(*snapshot, principal, name->second));
    };
    router.add("GET", base + "/models", list);
    router.add("GET", base + "/models/{name}", list);
  };
  models("/serving-endpoints");
  models("/ai-gateway/mlflow/v1");
  if (options_.v1_routes) models("/v1");

  for (const char* prefix : {"/serving-endpoints", "/ai-gateway", "/v1"}) {
    router.present_errors(prefix, present_error, present_stream_error);
  }
}

}  // namespace tessera::gateway
