#include "control/traffic_stats.h"

#include <algorithm>

namespace tessera::control {

void TrafficStats::record(const catalog::UsageRecord& record, std::int64_t now_ms) {
  const std::int64_t second = now_ms / 1000;
  const auto bound =
      std::lower_bound(kLatencyBoundsMs.begin(), kLatencyBoundsMs.end(), record.latency_ms);
  std::lock_guard lock(mutex_);
  Second& cell = windows_[record.endpoint_name][record.served_entity_name][second % 60];
  if (cell.second != second) cell = {second, {}};
  MinuteStats& stats = cell.stats;
  ++stats.requests;
  if (record.status_code >= 500) {
    ++stats.server_errors;
  } else if (record.status_code >= 400) {
    ++stats.client_errors;
  }
  stats.latency_sum_ms += record.latency_ms;
  ++stats.latency_buckets[bound - kLatencyBoundsMs.begin()];
}

MinuteStats TrafficStats::last_minute(std::string_view endpoint_name, std::string_view entity_name,
                                      std::int64_t now_ms) const {
  MinuteStats total;
  std::lock_guard lock(mutex_);
  auto endpoint = windows_.find(endpoint_name);
  if (endpoint == windows_.end()) return total;
  auto entity = endpoint->second.find(entity_name);
  if (entity == endpoint->second.end()) return total;
  for (const Second& cell : entity->second) {
    if (cell.second <= now_ms / 1000 - 60 || cell.second > now_ms / 1000) continue;
    total.requests += cell.stats.requests;
    total.client_errors += cell.stats.client_errors;
    total.server_errors += cell.stats.server_errors;
    total.latency_sum_ms += cell.stats.latency_sum_ms;
    for (std::size_t i = 0; i < total.latency_buckets.size(); ++i) {
      total.latency_buckets[i] += cell.stats.latency_buckets[i];
    }
  }
  return total;
}

void TrafficStats::forget(std::string_view endpoint_name) {
  std::lock_guard lock(mutex_);
  auto it = windows_.find(endpoint_name);
  if (it != windows_.end()) windows_.erase(it);
}

}  // namespace tessera::control
