#include "control/traffic_stats.h"

#include <gtest/gtest.h>

namespace tessera::control {
namespace {

catalog::UsageRecord record(int status, std::int64_t latency_ms) {
  catalog::UsageRecord made;
  made.endpoint_name = "e";
  made.served_entity_name = "m";
  made.status_code = status;
  made.latency_ms = latency_ms;
  return made;
}

TEST(TrafficStats, CountsTheLastMinuteOnly) {
  TrafficStats stats;
  stats.record(record(200, 5), 1'000'000);
  stats.record(record(200, 6), 1'000'000);
  stats.record(record(429, 1), 1'030'000);
  stats.record(record(500, 1'000'000), 1'030'000);
  MinuteStats now = stats.last_minute("e", "m", 1'030'000);
  EXPECT_EQ(now.requests, 4);
  EXPECT_EQ(now.client_errors, 1);
  EXPECT_EQ(now.server_errors, 1);
  EXPECT_EQ(now.latency_sum_ms, 1'000'012);
  EXPECT_EQ(now.latency_buckets[0], 2);  // 5 belongs to le="5"
  EXPECT_EQ(now.latency_buckets[1], 1);
  EXPECT_EQ(now.latency_buckets.back(), 1);
  EXPECT_EQ(stats.last_minute("e", "m", 1'059'000).requests, 4);
  EXPECT_EQ(stats.last_minute("e", "m", 1'060'000).requests, 2);
  EXPECT_EQ(stats.last_minute("e", "m", 1'090'000).requests, 0);
  // The cell of a second is reused a minute later.
  stats.record(record(200, 1), 1'060'000);
  EXPECT_EQ(stats.last_minute("e", "m", 1'060'000).requests, 3);
  EXPECT_EQ(stats.last_minute("e", "other", 1'030'000).requests, 0);
  stats.forget("e");
  EXPECT_EQ(stats.last_minute("e", "m", 1'030'000).requests, 0);
}

}  // namespace
}  // namespace tessera::control
