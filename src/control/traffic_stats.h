// Requests of the last minute per served entity, for the metrics route (control-plane 9). Fed with
// every usage record; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "catalog/usage.h"

namespace tessera::control {

// Upper bounds of request_latency_ms; +Inf is implied.
inline constexpr std::array<std::int64_t, 14> kLatencyBoundsMs = {
    5, 10, 25, 50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000, 30'000, 120'000, 600'000};

struct MinuteStats {
  std::int64_t requests = 0, client_errors = 0, server_errors = 0;
  std::int64_t latency_sum_ms = 0;
  std::array<std::int64_t, kLatencyBoundsMs.size() + 1> latency_buckets{};  // not cumulative
};

class TrafficStats {
 public:
  void record(const catalog::UsageRecord& record, std::int64_t now_ms);
  // `entity_name` empty: requests that were refused before routing.
  MinuteStats last_minute(std::string_view endpoint_name, std::string_view entity_name,
                          std::int64_t now_ms) const;
  void forget(std::string_view endpoint_name);

 private:
  struct Second {
    std::int64_t second = -1;
    MinuteStats stats;
  };
  using Window = std::array<Second, 60>;

  mutable std::mutex mutex_;  // guards windows_
  std::map<std::string, std::map<std::string, Window, std::less<>>, std::less<>> windows_;
};

}  // namespace tessera::control
