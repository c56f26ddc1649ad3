#include "gateway/upstream.h"

#include "base/log.h"
#include "base/strings.h"

namespace tessera::gateway {
namespace {

constexpr std::size_t kMaxErrorBody = 1u << 20;
constexpr std::string_view kUnreachable = "upstream_unreachable";  // code set by http::Client
constexpr int kRestartSeconds = 2;  // a killed worker is back by then, its model loaded

Error not_live(const catalog::ServedEntity& entity) {
  std::string message =
      "The served entity " + quote_for_message(entity.name) + " cannot answer now";
  if (!entity.deployment_state_message.empty()) message += ": " + entity.deployment_state_message;
  Error error(ErrorKind::kNotReady, message);
  error.retry_after_s = kRestartSeconds;
  return error;
}

// Tells the client no more about the machine than that its model stopped.
Error worker_failure(const Error& cause, const catalog::ServedEntity& entity) {
  log_warn("gateway", "a worker failed", {{"entity", entity.name}, {"reason", cause.message}});
  if (cause.code == kUnreachable) return not_live(entity);
  if (cause.kind == ErrorKind::kDeadlineExceeded) {
    return Error(ErrorKind::kDeadlineExceeded, "The model did not answer in time.");
  }
  return Error(ErrorKind::kEngineFailure,
               "The model's worker stopped before it had answered; it is being restarted.");
}

void note_retry_after(Error& error, const http::Headers& headers) {
  const auto seconds = parse_int(headers.get("retry-after").value_or(""));
  if (seconds && *seconds >= 0 && *seconds < 86'400) {
    error.retry_after_s = static_cast<int>(*seconds);
  }
}

}  // namespace

http::asio::awaitable<http::ClientResponse> call_upstream(http::Client& client, UpstreamCall call) {
  const catalog::ServedEntity& entity = call.entity;
  const providers::Provider& provider = providers::worker_provider();
  if (!entity.live()) throw not_live(entity);
  const catalog::ExternalModel model{.provider = "openai", .name = std::string(call.shown_model)};
  providers::WireRequest wire = to_wire(call.request, provider, {.model = model});

  http::ClientRequest request;
  request.method = "POST";
  request.target = std::move(wire.path);
  request.headers = std::move(call.headers);
  request.headers.set("content-type", "application/json");
  request.headers.set("x-tessera-deadline-ms", std::to_string(call.time_left.count()));
  for (auto& [name, value] : wire.headers) request.headers.set(name, std::move(value));
  request.body = std::move(wire.body);
  request.origin.host = "worker";
  request.timeouts.first_byte = call.time_left;
  request.timeouts.between_bytes = call.time_left;

  http::ClientResponse response;
  const std::size_t replicas = entity.sockets.size();
  for (std::size_t tried = 0;; ++tried) {
    request.origin.unix_path = entity.sockets[(call.draw / 100 + tried) % replicas];
    try {
      // Arguments of co_await are named objects in this room: g++ 12 destroys temporaries of
      // conditional and braced arguments twice (GCC bugs 95599, 99576).
      http::ClientRequest attempt;
      if (tried + 1 < replicas) {
        attempt = request;
      } else {
        attempt = std::move(request);
      }
      response = co_await client.send(std::move(attempt));
      break;
    } catch (const Error& error) {
      const bool other_left = tried + 1 < replicas;
      if (!other_left || error.code != kUnreachable) throw worker_failure(error, entity);
    }
  }
  if (response.status / 100 == 2) co_return response;
  providers::WireResponse answer{.status = response.status};
  answer.body = co_await http::read_all(*response.body, kMaxErrorBody);
  Error error = provider.from_error(answer);
  note_retry_after(error, response.headers);
  throw error;
}

Error broken_off(const Error& error, const catalog::ServedEntity& entity) {
  return worker_failure(error, entity);
}

}  // namespace tessera::gateway
