#include "gateway/attempt.h"

#include <algorithm>

#include "base/log.h"
#include "gateway/upstream.h"

namespace tessera::gateway {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLeastTimeForAnother{5'000};  // F8

bool falls_over(const Error& error) {  // F2
  const int status = http_status(error.kind);
  return status == 429 || status >= 500;
}

bool is_external(const catalog::ServedEntity& entity) {
  return entity.kind == catalog::EntityKind::kExternalModel && entity.external_model;
}

// An external model may be given more time than the rest.
milliseconds whole_limit(const Attempt& a) {
  milliseconds limit = a.time_limit;
  for (const catalog::ServedEntity* entity : a.order) {
    if (!is_external(*entity) || a.stream) continue;
    if (const auto own = request_timeout(*entity->external_model)) limit = std::max(limit, *own);
  }
  return limit;
}

Error answer_too_large(std::size_t limit) {
  return Error(ErrorKind::kEngineFailure,
               "The answer is larger than " + std::to_string(limit) + " bytes.");
}

// A worker's answer in our terms: `body` of a plain one, else the response's.
ProviderAnswer translated(http::ClientResponse response, std::string body, const Attempt& a,
                          const catalog::ServedEntity& entity) {
  ProviderAnswer answer;
  const providers::Provider& worker = providers::worker_provider();
  if (!a.stream) {
    providers::WireResponse wire;
    wire.body = std::move(body);
    answer.whole = worker.chat.from_wire(wire, {});
    return answer;
  }
  auto explain = [&entity](const Error& error, bool transport) {
    const bool broken = transport || error.code == "upstream_stream_truncated";
    return broken ? broken_off(error, entity) : error;
  };
  auto source = std::make_unique<ChunkSource<api::ChatChunk>>(
      std::move(response.body), providers::Framing::kServerSentEvents, worker.chat.stream({}),
      std::move(explain));
  answer.stream = std::move(source);
  return answer;
}

http::asio::awaitable<Answer> try_entity(http::Client& client, Credentials& credentials, Attempt& a,
                                         const catalog::ServedEntity& entity,
                                         milliseconds time_left, bool last) {
  Answer answer{.entity = &entity};
  if (a.verbatim != nullptr && speaks(entity, a.verbatim->surface)) {
    VerbatimCall call{.request = *a.verbatim,
                      .entity = entity,
                      .stream = a.stream,
                      .retry = last,
                      .time_left = time_left,
                      .max_response_bytes = a.max_response_bytes};
    answer.verbatim = co_await call_verbatim(client, credentials, std::move(call));
    // The provider's own words go to the client, unless another entity is to be asked.
    const std::optional<Error>& error = answer.verbatim->error;
    if (error && !last && falls_over(*error)) throw *error;
    co_return answer;
  }
  const TaskRequest& request = a.request();
  if (is_external(entity)) {
    ProviderCall call{.request = request,
                      .entity = entity,
                      .stream = a.stream,
                      .retry = last,
                      .seed = a.draw,
                      .time_left = time_left,
                      .max_response_bytes = a.max_response_bytes};
    answer.translated = co_await call_provider(client, credentials, std::move(call));
    co_return answer;
  }
  UpstreamCall call{.request = request,
                    .entity = entity,
                    .shown_model = shown_model(entity, a.fallback_model),
                    .headers = last ? std::move(a.headers) : a.headers,
                    .draw = a.draw,
                    .time_left = time_left};
  answer.response = co_await call_upstream(client, std::move(call));
  if (!a.stream) {
    try {
      answer.body =
          co_await http::read_all(*answer.response.body, a.max_response_bytes, answer_too_large);
    } catch (const Error& error) {
      if (error.kind == ErrorKind::kEngineFailure) throw;  // answer_too_large()
      throw broken_off(error, entity);
    }
    answer.response.body.reset();
  }
  if (a.in_our_terms) {
    answer.translated = translated(std::move(answer.response), std::move(answer.body), a, entity);
  }
  co_return answer;
}

}  // namespace

std::string_view shown_model(const catalog::ServedEntity& entity, std::string_view fallback_model) {
  return entity.model_id.empty() ? fallback_model : std::string_view(entity.model_id);
}

http::asio::awaitable<Answer> attempt(http::Client& client, Credentials& credentials,
                                      UsageMeter& meter, Attempt a) {
  const milliseconds limit = whole_limit(a);
  for (std::size_t i = 0;; ++i) {
    const catalog::ServedEntity& entity = *a.order[i];
    meter.entity(entity);
    const auto left = [&] { return limit - milliseconds(meter.elapsed_ms()); };
    const bool last = i + 1 == a.order.size();
    try {
      const auto time_left = std::max(left(), milliseconds(1));
      co_return co_await try_entity(client, credentials, a, entity, time_left, last);
    } catch (const Error& error) {
      if (last || left() < kLeastTimeForAnother || !falls_over(error)) throw;
      log_info("gateway", "falling back to the next entity",
               {{"request_id", meter.record().request_id},
                {"failed", entity.name},
                {"reason", error.message}});
    }
  }
}

}  // namespace tessera::gateway
