#include "gateway/retry.h"

#include <algorithm>

namespace tessera::gateway {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstDelay{500}, kLongestDelay{8'000};
constexpr milliseconds kMostPatience{60'000};
constexpr double kJitter = 0.25;

bool is_passing(int status) {
  switch (status) {
    case 408:
    case 409:  // another request holds a lock, at Anthropic and OpenAI
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
    case 529:
      return true;
    default:
      return false;
  }
}

bool worth_another(const Error& error) {
  if (error.provider && error.provider->should_retry) return *error.provider->should_retry;
  if (error.kind == ErrorKind::kProviderQuotaExhausted) return false;
  if (error.provider && error.provider->status != 0 && error.provider->status != 200) {
    return is_passing(error.provider->status);
  }
  // No answer, or one inside of a 200 stream: what it means decides.
  switch (error.kind) {
    case ErrorKind::kProviderRateLimited:
    case ErrorKind::kProviderError:
    case ErrorKind::kProviderUnreachable:
    case ErrorKind::kProviderOverloaded:
    case ErrorKind::kProviderTimeout:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::optional<milliseconds> retry_delay(const Error& error, int tried, double random) {
  if (!worth_another(error)) return std::nullopt;
  std::optional<milliseconds> wanted;
  if (error.retry_after_ms) {
    wanted = milliseconds(*error.retry_after_ms);
  } else if (error.retry_after_s) {
    wanted = milliseconds(std::int64_t{1000} * *error.retry_after_s);
  }
  if (wanted) {
    if (*wanted > kMostPatience) return std::nullopt;
    return std::max(*wanted, milliseconds(0));
  }
  const milliseconds backoff = std::min(kLongestDelay, kFirstDelay * (1 << std::min(tried - 1, 4)));
  return milliseconds(static_cast<std::int64_t>(static_cast<double>(backoff.count()) *
                                                (1.0 - kJitter * std::clamp(random, 0.0, 1.0))));
}

}  // namespace tessera::gateway
