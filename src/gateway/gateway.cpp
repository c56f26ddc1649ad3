#include "gateway/gateway.h"

#include "base/clock.h"
#include "gateway/authenticate.h"
#include "gateway/connection_probe.h"
#include "gateway/invocation.h"
#include "gateway/models_list.h"
#include "gateway/present.h"

namespace tessera::gateway {
namespace {

using catalog::Task;

constexpr http::RouteOptions kQuery{.max_body_bytes = 32u << 20};  // the widest profile's limit
constexpr int kDrainRetrySeconds = 5;

}  // namespace

Gateway::Gateway(const catalog::SnapshotHolder& snapshots, http::Client& client, Metrics& metrics,
                 UsageSink usage_sink, GatewayOptions options)
    : options_(options),
      credentials_(client),
      metrics_(metrics),
      usage_sink_(std::move(usage_sink)),
      services_{snapshots, client, credentials_, metrics_, usage_sink_, options_} {}

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
  // Q6, Q11, Q13: other APIs, whose SDKs want their own base URL.
  const QueryRoute responses{.task = Task::kChat, .surface = Surface::kResponses};
  const QueryRoute messages{.task = Task::kChat, .surface = Surface::kMessages};
  const QueryRoute count_tokens{.task = Task::kChat, .surface = Surface::kCountTokens};
  for (const std::string base : {"/serving-endpoints", "/ai-gateway"}) {
    openai(base + "/openai/v1");
    query(base + "/openai/v1/responses", responses);
    query(base + "/anthropic/v1/messages", messages);
    query(base + "/anthropic/v1/messages/count_tokens", count_tokens);
  }
  query("/serving-endpoints/responses", responses);
  if (options_.v1_routes) {
    query("/v1/responses", responses);
    query("/v1/messages", messages);
    query("/v1/messages/count_tokens", count_tokens);
  }
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

  // Not a query, but only this room may call providers.
  router.add("POST", "/api/2.0/serving-endpoints/{name}/test", [this](http::Request request) {
    return probe_connection(services_, std::move(request));
  });

  for (const char* prefix : {"/serving-endpoints", "/ai-gateway", "/v1"}) {
    router.present_errors(prefix, present_error, present_stream_error);
  }
}

}  // namespace tessera::gateway
