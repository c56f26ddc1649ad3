#include "gateway/connection_probe.h"
#include "api/error_json.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/strings.h"
#include "gateway/authenticate.h"
#include "gateway/provider_call.h"

namespace tessera::gateway {
namespace {

constexpr std::chrono::milliseconds kTimeLimit{30'000};
constexpr std::size_t kMaxAnswer = 4u << 20;

// The cheapest request of the task. Sixteen tokens: some models refuse to be asked for fewer.
TaskRequest minimal_request(catalog::Task task) {
  const auto options = api::ParseOptions::for_profile(api::Profile::kExternal);
  const char* text = R"({"input":"ping"})";
  if (task == catalog::Task::kChat) {
    text = R"({"messages":[{"role":"user","content":"ping"}],"max_tokens":16})";
  } else if (task == catalog::Task::kCompletions) {
    text = R"({"prompt":"ping","max_tokens":16})";
  }
  return parse_task(task, api::Body(text), options);
}

http::asio::awaitable<json::object> probe_entity(const Services& services,
                                                 const catalog::ServedEntity& entity,
                                                 std::uint64_t seed) {
  json::object result{{"name", entity.name}};
  const std::int64_t begin_us = steady_us();
  std::optional<Error> failure;
  try {
    const TaskRequest request = minimal_request(entity.external_model->task);
    ProviderCall call{.request = request,
                      .entity = entity,
                      .retry = false,
                      .seed = seed,
                      .time_left = kTimeLimit,
                      .max_response_bytes = kMaxAnswer};
    const ProviderAnswer answer =
        co_await call_provider(services.client, services.credentials, std::move(call));
    std::visit([&](const auto& whole) { result["model"] = whole.model; }, answer.whole);
  } catch (const Error& error) {
    failure = error;
  }
  result["ok"] = !failure;
  result["latency_ms"] = (steady_us() - begin_us) / 1000;
  if (failure) {
    const json::object told =
        parse_json_object(api::error_json(*failure, api::ErrorStyle::kOpenAi));
    result["error"] = told.at("error");
  }
  co_return result;
}

}  // namespace

http::asio::awaitable<http::Response> probe_connection(const Services& services,
                                                       http::Request request) {
  const auto snapshot = services.snapshots.get();
  const catalog::Principal& principal = authenticate(request.headers, *snapshot, now_ms());
  const std::string& name = request.params.at("name");
  const catalog::Endpoint* endpoint = snapshot->find_endpoint(name);
  if (endpoint == nullptr) {
    throw Error(ErrorKind::kEndpointNotFound,
                "Endpoint with name " + quote_for_message(name) + " does not exist.");
  }
  catalog::require_level(endpoint->level_of(principal), catalog::PermissionLevel::kCanManage,
                         endpoint->name);
  const json::object body = request.body.empty() ? json::object() : parse_json_object(request.body);
  const auto wanted = get_string(body, "served_entity_name");
  const auto& config = endpoint->active ? endpoint->active : endpoint->pending;
  json::array results;
  if (config) {
    for (const catalog::ServedEntity& entity : config->entities) {
      if (!entity.external_model || (wanted && entity.name != *wanted)) continue;
      json::object result = co_await probe_entity(services, entity, results.size());
      results.push_back(std::move(result));
    }
  }
  if (results.empty()) {
    throw Error(ErrorKind::kInvalidParameterValue,
                wanted ? "served_entity_name: received " + quote_for_message(*wanted) +
                             ", want the name of an external model of this endpoint."
                       : "Endpoint " + quote_for_message(name) +
                             " has no external models to test a connection to.",
                wanted ? "served_entity_name" : "");
  }
  json::object answer;
  answer["results"] = std::move(results);
  co_return http::Response::json(to_json(json::value(std::move(answer))));
}

}  // namespace tessera::gateway
