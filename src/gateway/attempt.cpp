#include "gateway/attempt.h"

#include "base/log.h"
#include "gateway/upstream.h"

namespace tessera::gateway {
namespace {

constexpr std::chrono::milliseconds kLeastTimeForAnother{5'000};  // F8

bool falls_over(const Error& error) {  // F2
  const int status = http_status(error.kind);
  return status == 429 || status >= 500;
}

http::asio::awaitable<Answer> try_entity(http::Client& client, const Attempt& a,
                                         const catalog::ServedEntity& entity,
                                         std::chrono::milliseconds time_left) {
  Answer answer{.entity = &entity};
  UpstreamCall call{.request = a.request,
                    .entity = entity,
                    .shown_model = shown_model(entity, a.fallback_model),
                    .headers = a.headers,
                    .draw = a.draw,
                    .time_left = time_left};
  answer.response = co_await call_upstream(client, std::move(call));
  if (a.stream) co_return answer;
  answer.body = co_await read_answer(*answer.response.body, a.max_response_bytes, entity);
  answer.response.body.reset();
  co_return answer;
}

}  // namespace

std::string_view shown_model(const catalog::ServedEntity& entity, std::string_view fallback_model) {
  return entity.model_id.empty() ? fallback_model : std::string_view(entity.model_id);
}

http::asio::awaitable<Answer> attempt(http::Client& client, UsageMeter& meter, Attempt a) {
  for (std::size_t i = 0;; ++i) {
    const catalog::ServedEntity& entity = *a.order[i];
    meter.entity(entity);
    const auto left = [&] { return a.time_limit - std::chrono::milliseconds(meter.elapsed_ms()); };
    try {
      const auto time_left = std::max(left(), std::chrono::milliseconds(1));
      co_return co_await try_entity(client, a, entity, time_left);
    } catch (const Error& error) {
      const bool another = i + 1 < a.order.size() && left() >= kLeastTimeForAnother;
      if (!another || !falls_over(error)) throw;
      log_info("gateway", "falling back to the next entity",
               {{"request_id", meter.record().request_id},
                {"failed", entity.name},
                {"reason", error.message}});
    }
  }
}

}  // namespace tessera::gateway
