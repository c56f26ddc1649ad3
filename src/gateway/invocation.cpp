#include "gateway/invocation.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <ctime>

#include "base/clock.h"
#include "base/strings.h"
#include "gateway/attempt.h"
#include "gateway/authenticate.h"
#include "gateway/chunk_relay.h"
#include "gateway/other_apis.h"
#include "gateway/pending.h"
#include "gateway/present.h"
#include "gateway/relay.h"
#include "gateway/task_request.h"
#include "gateway/traffic.h"
#include "gateway/upstream.h"

namespace tessera::gateway {
namespace {

using catalog::Task;

constexpr int kRollOutRetrySeconds = 30;
constexpr int kRestartRetrySeconds = 2;
constexpr std::size_t kMaxHeaderValue = 1024;

// What is known about a request on its way. References live as long as the snapshot.
struct Call {
  http::Request request;
  QueryRoute route;
  std::shared_ptr<const catalog::Snapshot> snapshot;
  const catalog::Principal* principal = nullptr;
  std::unique_ptr<UsageMeter> meter;
  http::Headers answer_headers;  // of every answer from here on, errors too
};

std::optional<std::string_view> param(const http::Request& request, std::string_view name) {
  const auto found = request.params.find(name);
  if (found == request.params.end()) return std::nullopt;
  return found->second;
}

void check_content_type(const http::Headers& headers) {
  const std::string_view type = headers.get("content-type").value_or("");
  const auto begins_with = [&](std::string_view start) {
    return iequals(type.substr(0, start.size()), start);
  };
  if (!begins_with("multipart/") && !begins_with("application/x-www-form-urlencoded")) return;
  throw Error(ErrorKind::kUnsupportedMediaType,
              "Content type " + quote_for_message(type) +
                  " is not supported; send the body as application/json.");
}

// --- Which endpoint? (0.4 stage 3, 8.4) ---

Error not_found(std::string_view name, bool named_by_body) {
  return Error(ErrorKind::kEndpointNotFound,
               "Endpoint with name " + quote_for_message(name) + " does not exist.",
               named_by_body ? "model" : "");
}

Error retired(std::string_view name, const catalog::Lifecycle& lifecycle, bool named_by_body) {
  Error error = not_found(name, named_by_body);
  error.kind = ErrorKind::kEndpointRetired;
  error.message = catalog::retired_message({std::string(name), lifecycle});
  return error;
}

// "2030-01-01" as RFC 8594 wants it; empty when it is no date.
std::string http_date(const std::string& iso_date) {
  const auto ms = parse_rfc3339(iso_date + "T00:00:00Z");
  if (!ms) return {};
  const std::time_t seconds = *ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return std::string(text, size);
}

// A redirect goes on to the replacement while that one can answer, and for its task.
const catalog::Endpoint& follow(const Call& call, std::string_view name,
                                const catalog::Lifecycle& lifecycle, std::optional<Task> task,
                                bool named_by_body) {
  const catalog::Endpoint* replacement = lifecycle.state == catalog::LifecycleState::kRedirect
                                             ? call.snapshot->find_endpoint(lifecycle.replacement)
                                             : nullptr;
  if (replacement == nullptr || !replacement->ready() || replacement->task != task) {
    throw retired(name, lifecycle, named_by_body);
  }
  return *replacement;
}

const catalog::Endpoint& find_endpoint(Call& call, std::string_view name, bool named_by_body) {
  const catalog::Endpoint* endpoint = call.snapshot->find_endpoint(name);
  const catalog::Tombstone* tombstone =
      endpoint == nullptr ? call.snapshot->find_tombstone(name) : nullptr;
  if (endpoint == nullptr && tombstone == nullptr) throw not_found(name, named_by_body);
  const catalog::Lifecycle& lifecycle =
      endpoint == nullptr ? tombstone->lifecycle : endpoint->lifecycle;
  using enum catalog::LifecycleState;
  if (lifecycle.state == kRetired) throw retired(name, lifecycle, named_by_body);
  if (tombstone != nullptr ||
      lifecycle.state == kRedirect) {  // Of an endpoint that is gone only the name is known: chat
                                       // models are all that was retired.
    const auto task = endpoint == nullptr ? std::optional(Task::kChat) : endpoint->task;
    endpoint = &follow(call, name, lifecycle, task, named_by_body);
    call.answer_headers.set("x-tessera-redirected-from", std::string(name));
  } else if (lifecycle.state == kDeprecated) {
    call.answer_headers.set("deprecation", "true");
    if (const std::string sunset = http_date(lifecycle.retire_at); !sunset.empty()) {
      call.answer_headers.set("sunset", sunset);
    }
    if (!lifecycle.replacement.empty()) {
      call.answer_headers.set("x-tessera-replacement", lifecycle.replacement);
    }
  }
  return *endpoint;
}

// --- Can it answer? (5.7) ---

// Why its entities are not there, as control wrote it down for people.
std::string reasons(const catalog::Endpoint& endpoint) {
  std::string text;
  const auto& config = endpoint.active ? endpoint.active : endpoint.pending;
  if (!config) return text;
  for (const catalog::ServedEntity& entity : config->entities) {
    if (entity.live() || entity.deployment_state_message.empty()) continue;
    text += " " + entity.deployment_state_message;
    if (!text.ends_with('.')) text += '.';
  }
  return text;
}

Error not_ready(const catalog::Endpoint& endpoint, std::string_view why, int retry_after_s) {
  Error error(ErrorKind::kNotReady,
              "Endpoint " + quote_for_message(endpoint.name) + " is not ready." + std::string(why));
  error.retry_after_s = retry_after_s;
  return error;
}

const catalog::EndpointConfig& active_config(const catalog::Endpoint& endpoint) {
  using enum catalog::Availability;
  switch (endpoint.availability()) {
    case kServing:
      break;
    case kCreating:
      throw not_ready(endpoint, " Its first configuration is being rolled out.",
                      kRollOutRetrySeconds);
    case kUnhealthy:
      throw not_ready(endpoint, reasons(endpoint), kRestartRetrySeconds);
    case kStopped:
      throw Error(ErrorKind::kEndpointStopped, "Endpoint " + quote_for_message(endpoint.name) +
                                                   " is stopped. Start it to query it.");
    case kNeverReady: {
      std::string why = reasons(endpoint);
      if (why.empty()) why = " It has no configuration that could serve; update its config.";
      Error error = not_ready(endpoint, why, 0);
      error.kind = ErrorKind::kNeverReady;  // 400: nothing will change by waiting
      error.retry_after_s.reset();
      throw error;
    }
  }
  return *endpoint.active;
}

// --- Which body? (1.3) ---

Task endpoint_task(const catalog::Endpoint& endpoint, const catalog::EndpointConfig& config) {
  return endpoint.task.value_or(config.entities.front().task);
}

bool accepts(const catalog::Endpoint& endpoint, Task own, Task asked) {
  return own == asked ||
         (own == Task::kChat && asked == Task::kCompletions && endpoint.accepts_completions());
}

// On native routes the body tells its task by the one field that each task requires.
Task task_of_body(const api::Body& body, Task otherwise) {
  if (body.has("messages")) return Task::kChat;
  if (body.has("prompt")) return Task::kCompletions;
  if (body.has("input")) return Task::kEmbeddings;
  return otherwise;  // whose parser says what is missing, or unknown
}

Task check_task(const Call& call, const api::Body& body, const catalog::Endpoint& endpoint,
                const catalog::EndpointConfig& config) {
  const Task own = endpoint_task(endpoint, config);
  const Task asked = call.route.task ? *call.route.task : task_of_body(body, own);
  if (accepts(endpoint, own, asked)) return asked;
  throw Error(ErrorKind::kWrongTask, "Endpoint " + quote_for_message(endpoint.name) +
                                         " has the task " + std::string(to_string(own)) +
                                         " and cannot take a request of the task " +
                                         std::string(to_string(asked)) + ".");
}

// --- To the upstream and back ---

std::string header_value(const std::vector<std::string>& names) {
  std::string value;
  for (const std::string& name : names) {
    if (!value.empty()) value += ',';
    for (const char c : name) value += c > ' ' && c < 0x7f ? c : '?';
  }
  return value.substr(0, kMaxHeaderValue);
}

http::Headers upstream_headers(const http::Request& request) {
  http::Headers headers;
  headers.set("x-request-id", request.id);
  for (const char* name : {"traceparent", "x-tessera-timings"}) {
    if (const auto value = request.headers.get(name)) headers.set(name, std::string(*value));
  }
  return headers;
}

void note_request(UsageMeter& meter, const TaskRequest& request, Task task, bool stream) {
  catalog::UsageRecord& record = meter.record();
  const api::CommonFields& common = common_fields(request);
  record.api_type = to_string(task);
  record.streaming = stream;
  record.client_request_id = common.client_request_id;
  record.usage_context.insert(common.usage_context.begin(), common.usage_context.end());
  if (!common.user.empty()) record.usage_context.emplace("user", common.user);
  record.input_characters = static_cast<std::int64_t>(input_characters(request));
}

std::vector<const catalog::ServedEntity*> choose_entities(const Call& call,
                                                          const catalog::Endpoint& endpoint,
                                                          const catalog::EndpointConfig& config,
                                                          std::optional<std::string_view> wanted,
                                                          std::uint64_t number) {
  if (!wanted) {
    auto order = order_entities(config, number, endpoint.fallback_enabled);
    if (!order.empty()) return order;
    throw Error(ErrorKind::kNotReady, "Endpoint " + quote_for_message(endpoint.name) +
                                          " routes no traffic to any served entity.");
  }
  if (const catalog::ServedEntity* entity = config.find(*wanted)) return {entity};
  throw Error(ErrorKind::kEntityNotFound,
              "Endpoint " + quote_for_message(endpoint.name) + " has no served entity named " +
                  quote_for_message(*wanted) + ".",
              call.route.native ? "" : "model");
}

http::Response stream_head(const Services& services, bool native) {
  http::Response response;
  response.headers.set("content-type", "text/event-stream");
  response.headers.set("cache-control", "no-cache");
  response.headers.set("x-accel-buffering", "no");
  response.keep_alive = native ? "\n" : ": ping\n\n";  // MLflow's parser cannot stand comments
  response.keep_alive_interval = services.options.keep_alive_interval;
  return response;
}

http::Response stream_response(const Services& services, Call& call, const TaskRequest& request,
                               Answer answer, std::string_view endpoint_name) {
  http::Response response = stream_head(services, call.route.native);
  RelayOptions options{
      .usage = stream_usage(*generation_fields(request), call.route.native),
      .shown_model = std::string(shown_model(*answer.entity, endpoint_name)),
      .keep_alive = response.keep_alive,
      .late = call.meter->elapsed_ms() >= services.options.stream_head_delay.count(),
      .time_limit = services.options.stream_time_limit};
  response.stream =
      relay_stream(request, providers::worker_provider(), std::move(answer.response.body),
                   *answer.entity, call.snapshot, std::move(call.meter), std::move(options));
  return response;
}

http::Response plain_response(Call& call, Answer answer) {
  const std::string_view name =
      call.route.native ? std::string_view(answer.entity->name) : std::string_view();
  http::Response response =
      http::Response::json(relay_plain(std::move(answer.body), name, *call.meter));
  if (const auto timings = answer.response.headers.get("x-tessera-timings")) {
    response.headers.set("x-tessera-timings", std::string(*timings));
  }
  call.meter->succeeded();
  return response;
}

// --- External providers, and other APIs in front of any model ---

bool is_external(const catalog::ServedEntity& entity) {
  return entity.kind == catalog::EntityKind::kExternalModel;
}

// What an external model is called in answers that do not say.
std::string configured_name(const catalog::ServedEntity& entity, std::string_view endpoint_name) {
  if (entity.external_model) return entity.external_model->name;
  return std::string(shown_model(entity, endpoint_name));
}

void add_provider_headers(Call& call, const http::Headers& headers) {
  for (const auto& [name, value] : headers) call.answer_headers.set(name, value);
}

http::Response translated_response(Call& call, const TaskRequest& request, Answer answer) {
  ProviderAnswer& translated = *answer.translated;
  add_provider_headers(call, translated.headers);
  settle(translated.whole, configured_name(*answer.entity, {}), *call.meter);
  const std::string_view name =
      call.route.native ? std::string_view(answer.entity->name) : std::string_view();
  http::Response response = http::Response::json(whole_json(
      std::move(translated.whole), request, name, wants_reasoning_in_content(*answer.entity)));
  call.meter->succeeded();
  return response;
}

// A stream on its way: owned by the coroutine that asks for it and by whoever waits for that one.
struct Streaming {
  std::shared_ptr<const catalog::Snapshot> snapshot;
  std::unique_ptr<UsageMeter> meter;
  TaskRequest request;
  VerbatimRequest verbatim;
  Attempt plan;
  QueryRoute route;
  std::chrono::milliseconds time_limit{};
};

http::asio::awaitable<Answer> begin_stream(http::Client& client, Credentials& credentials,
                                           std::shared_ptr<Streaming> streaming) {
  Attempt plan = streaming->plan;
  co_return co_await attempt(client, credentials, *streaming->meter, std::move(plan));
}

// The body of a stream that has begun. Takes the meter.
std::unique_ptr<http::BodyStream> open_stream(Streaming& streaming, Answer answer) {
  if (answer.verbatim) {
    return relay_verbatim(streaming.verbatim.surface, std::move(answer.verbatim->stream),
                          *answer.entity, streaming.snapshot, std::move(streaming.meter),
                          streaming.time_limit);
  }
  const api::GenerationFields& fields = *generation_fields(streaming.request);
  ChunkRelayOptions options{.usage = stream_usage(fields, streaming.route.native),
                            .model = configured_name(*answer.entity, streaming.plan.fallback_model),
                            .reasoning_in_content = wants_reasoning_in_content(*answer.entity),
                            .time_limit = streaming.time_limit};
  if (const auto* chat = std::get_if<api::ChatRequest>(&streaming.request)) {
    options.legacy_functions = chat->legacy_functions;
    options.writer = stream_writer(streaming.route.surface, *chat, *streaming.meter);
  }
  return relay_chunks(std::move(answer.translated->stream), streaming.snapshot,
                      std::move(streaming.meter), std::move(options));
}

// The head is overdue and goes out; the answer, or its error, comes when it comes.
class LateStream final : public http::BodyStream {
 public:
  LateStream(std::string keep_alive, std::shared_ptr<Streaming> streaming, Pending<Answer> pending)
      : keep_alive_(std::move(keep_alive)),
        streaming_(std::move(streaming)),
        pending_(std::move(pending)) {}

  http::asio::awaitable<std::optional<std::string>> next() override {
    if (!keep_alive_.empty()) co_return std::exchange(keep_alive_, {});
    if (!inner_) {
      try {
        Answer answer = co_await pending_.get();
        if (answer.verbatim && answer.verbatim->error) throw *answer.verbatim->error;
        inner_ = open_stream(*streaming_, std::move(answer));
      } catch (const Error& error) {
        streaming_->meter->failed(error);
        throw;
      }
    }
    co_return co_await inner_->next();
  }

 private:
  std::string keep_alive_;
  std::shared_ptr<Streaming> streaming_;
  Pending<Answer> pending_;
  std::unique_ptr<http::BodyStream> inner_;
};

// The provider's own answer, whatever its status.
http::Response verbatim_response(Call& call, Surface surface, VerbatimAnswer answer) {
  http::Response response;
  response.status = answer.status;
  response.body = std::move(answer.body);
  for (const auto& [name, value] : answer.headers) response.headers.set(name, value);
  if (answer.error) {
    call.meter->failed(*answer.error);
  } else {
    meter_whole(surface, response.body, *call.meter);
    call.meter->succeeded();
  }
  return response;
}

// Waits for the stream's first event, which may still become a status or send the request on to
// another entity, but not longer than the head may wait (data-plane 2.9).
http::asio::awaitable<http::Response> stream_when_begun(const Services& services, Call& call,
                                                        std::shared_ptr<Streaming> streaming) {
  const auto executor = co_await http::asio::this_coro::executor;
  streaming->snapshot = call.snapshot;
  streaming->route = call.route;
  streaming->time_limit = services.options.stream_time_limit;
  streaming->meter = std::move(call.meter);
  http::Response response = stream_head(services, call.route.native);
  const std::chrono::milliseconds elapsed(streaming->meter->elapsed_ms());
  const auto patience =
      std::max(services.options.stream_head_delay - elapsed, std::chrono::milliseconds(0));
  Pending<Answer> pending(executor, begin_stream(services.client, services.credentials, streaming));
  const bool begun = co_await pending.wait_for(patience);
  if (!begun) {
    response.stream =
        std::make_unique<LateStream>(response.keep_alive, std::move(streaming), std::move(pending));
    co_return response;
  }
  Answer answer;
  try {
    answer = co_await pending.get();
  } catch (...) {
    call.meter = std::move(streaming->meter);
    throw;
  }
  if (answer.verbatim && !answer.verbatim->stream) {
    call.meter = std::move(streaming->meter);
    co_return verbatim_response(call, call.route.surface, std::move(*answer.verbatim));
  }
  if (answer.translated) add_provider_headers(call, answer.translated->headers);
  if (answer.verbatim) add_provider_headers(call, answer.verbatim->headers);
  response.stream = open_stream(*streaming, std::move(answer));
  co_return response;
}

http::asio::awaitable<http::Response> external_stream(const Services& services, Call& call,
                                                      TaskRequest request, Attempt plan) {
  auto streaming = std::make_shared<Streaming>();
  streaming->request = std::move(request);
  streaming->plan = std::move(plan);
  streaming->plan.request = [raw = streaming.get()]() -> const TaskRequest& {
    return raw->request;
  };
  co_return co_await stream_when_begun(services, call, std::move(streaming));
}

// Anthropic's Messages and OpenAI's Responses: as they are to a provider that speaks them, in our
// terms to any other.
http::asio::awaitable<http::Response> other_api(const Services& services, Call& call,
                                                const api::Body& body,
                                                const catalog::Endpoint& endpoint,
                                                const api::ParseOptions& options,
                                                std::optional<std::string_view> wanted_entity,
                                                std::uint64_t number) {
  const Surface surface = call.route.surface;
  auto streaming = std::make_shared<Streaming>();
  Attempt& plan = streaming->plan;
  plan.order = choose_entities(call, endpoint, *endpoint.active, wanted_entity, number);
  plan.fallback_model = endpoint.name;
  plan.headers = upstream_headers(call.request);
  plan.draw = number;
  plan.in_our_terms = true;
  plan.time_limit = services.options.time_limit;
  plan.max_response_bytes = services.options.max_response_bytes;
  // Entities that would need a translation are left out where the first one does not: the body may
  // say what has no translation.
  const bool verbatim = speaks(*plan.order.front(), surface);
  std::erase_if(plan.order, [&](const catalog::ServedEntity* entity) {
    return verbatim && !speaks(*entity, surface);
  });
  if (verbatim) {
    streaming->verbatim.surface = surface;
    streaming->verbatim.headers = forwarded_headers(call.request.headers);
    check_verbatim(surface, body);
    plan.stream = wants_stream(body);
    plan.verbatim = &streaming->verbatim;
    note_verbatim(*call.meter, body, plan.stream);
    streaming->verbatim.body = std::move(call.request.body);
  } else {
    streaming->request = parse_other_api(surface, body, options);
    plan.stream = generation_fields(streaming->request)->stream;
    note_request(*call.meter, streaming->request, Task::kChat, plan.stream);
  }
  plan.request = [raw = streaming.get()]() -> const TaskRequest& { return raw->request; };
  if (plan.stream) co_return co_await stream_when_begun(services, call, std::move(streaming));
  Attempt whole = plan;
  Answer answer =
      co_await attempt(services.client, services.credentials, *call.meter, std::move(whole));
  if (answer.verbatim) {
    add_provider_headers(call, answer.verbatim->headers);
    co_return verbatim_response(call, surface, std::move(*answer.verbatim));
  }
  add_provider_headers(call, answer.translated->headers);
  settle(answer.translated->whole, configured_name(*answer.entity, endpoint.name), *call.meter);
  const auto& chat = std::get<api::ChatResponse>(answer.translated->whole);
  http::Response response = http::Response::json(other_api_json(surface, chat, streaming->request));
  call.meter->succeeded();
  co_return response;
}

http::asio::awaitable<http::Response> answer(const Services& services, Call& call) {
  check_content_type(call.request.headers);
  // OpenAI routes without a name in the path find the endpoint in the body.
  std::optional<std::string_view> name = param(call.request, "name");
  std::optional<std::string_view> wanted_entity = param(call.request, "entity");
  const bool named_by_body = !name;
  std::optional<api::Body> body;
  std::string model;
  if (named_by_body) {
    body.emplace(call.request.body);
    model = body->model();
    name = model;
    if (const std::size_t slash = model.find('/'); slash != std::string::npos) {
      name = std::string_view(model).substr(0, slash);
      wanted_entity = std::string_view(model).substr(slash + 1);
    }
  }
  const catalog::Endpoint& endpoint = find_endpoint(call, *name, named_by_body);
  call.meter->endpoint(endpoint);
  catalog::require_level(endpoint.level_of(*call.principal), catalog::PermissionLevel::kCanQuery,
                         endpoint.name);
  const catalog::EndpointConfig& config = active_config(endpoint);
  const auto limit = static_cast<std::size_t>(endpoint.limits().max_body_bytes);
  if (call.request.body.size() > limit) {
    throw Error(ErrorKind::kPayloadTooLarge,
                "The request body has " + std::to_string(call.request.body.size()) +
                    " bytes; this endpoint accepts " + std::to_string(limit) + ".");
  }
  if (!body) body.emplace(call.request.body);
  const Task task = check_task(call, *body, endpoint, config);
  api::ParseOptions options = parse_options(endpoint, call.route.native);
  options.model_required = named_by_body;
  const std::uint64_t number = draw(call.request.id);
  if (call.route.surface != Surface::kOurs) {
    co_return co_await other_api(services, call, *body, endpoint, options, wanted_entity, number);
  }
  const TaskRequest request = parse_task(task, *body, options);
  body.reset();
  if (const auto& ignored = common_fields(request).ignored_fields; !ignored.empty()) {
    call.answer_headers.set("x-tessera-ignored-fields", header_value(ignored));
  }
  const api::GenerationFields* generation = generation_fields(request);
  const bool stream = generation != nullptr && generation->stream;
  note_request(*call.meter, request, task, stream);

  Attempt plan{.request = {},
               .order = choose_entities(call, endpoint, config, wanted_entity, number),
               .fallback_model = endpoint.name,
               .headers = upstream_headers(call.request),
               .draw = number,
               .stream = stream,
               .time_limit = services.options.time_limit,
               .max_response_bytes = services.options.max_response_bytes};
  if (is_external(*plan.order.front()) && stream) {
    co_return co_await external_stream(services, call, request, std::move(plan));
  }
  plan.request = [&request]() -> const TaskRequest& { return request; };
  Answer answer =
      co_await attempt(services.client, services.credentials, *call.meter, std::move(plan));
  if (answer.translated) co_return translated_response(call, request, std::move(answer));
  if (!stream) co_return plain_response(call, std::move(answer));
  co_return stream_response(services, call, request, std::move(answer), endpoint.name);
}

// The client left, and the session cancels what waits.
bool is_cancellation(const std::exception& failure) {
  const auto* error = dynamic_cast<const boost::system::system_error*>(&failure);
  return error != nullptr && error->code() == boost::asio::error::operation_aborted;
}

// After routing, every answer names the entity (1.5).
void add_headers(http::Response& response, const http::Headers& headers,
                 const std::string& entity_name, const std::string& entity_id) {
  for (const auto& [name, value] : headers) response.headers.set(name, value);
  if (entity_name.empty()) return;
  response.headers.set("served-model-name", entity_name);
  response.headers.set("x-tessera-served-entity-id", entity_id);
}

}  // namespace

http::asio::awaitable<http::Response> invoke(const Services& services, http::Request request,
                                             QueryRoute route) {
  Call call{.request = std::move(request), .route = route, .snapshot = services.snapshots.get()};
  call.principal = &authenticate(call.request.headers, *call.snapshot, now_ms());
  call.meter = std::make_unique<UsageMeter>(services.usage_sink, services.metrics, call.request,
                                            call.principal->name);
  // A stream takes the meter along; its record stays where it is.
  const catalog::UsageRecord& record = call.meter->record();
  http::Response response;
  try {
    response = co_await answer(services, call);
  } catch (const Error& error) {
    call.meter->failed(error);
    if (error.provider && !error.provider->request_id.empty()) {
      call.answer_headers.set("x-provider-request-id", error.provider->request_id);
    }
    response = present_error(error, call.request);
  } catch (const std::exception& failure) {
    if (call.meter && !is_cancellation(failure))
      call.meter->failed(Error(ErrorKind::kInternal, failure.what()));
    throw;
  }
  add_headers(response, call.answer_headers, record.served_entity_name, record.served_entity_id);
  co_return response;
}

}  // namespace tessera::gateway
