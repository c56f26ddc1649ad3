#include "base/metrics.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace tessera {
namespace {

TEST(Metrics, PrometheusText) {
  Metrics metrics;
  auto& requests = metrics.counter("t_requests_total", "Requests.", {"route", "status"});
  requests.with({"chat", "200"}).add();
  requests.with({"chat", "200"}).add(2);
  requests.with({"a\"b\\c\nd", "500"}).add();
  metrics.gauge("t_active", "Now.").with().set(2.5);
  auto& seconds = metrics.histogram("t_seconds", "Time.", {0.1, 1}, {"m"});
  for (double v : {0.05, 0.1, 0.5, 3.0}) seconds.with({"x"}).observe(v);
  EXPECT_EQ(metrics.text(),
            "# HELP t_active Now.\n# TYPE t_active gauge\nt_active 2.5\n"
            "# HELP t_requests_total Requests.\n# TYPE t_requests_total counter\n"
            "t_requests_total{route=\"a\\\"b\\\\c\\nd\",status=\"500\"} 1\n"
            "t_requests_total{route=\"chat\",status=\"200\"} 3\n"
            "# HELP t_seconds Time.\n# TYPE t_seconds histogram\n"
            "t_seconds_bucket{m=\"x\",le=\"0.1\"} 2\n"
            "t_seconds_bucket{m=\"x\",le=\"1\"} 3\n"
            "t_seconds_bucket{m=\"x\",le=\"+Inf\"} 4\n"
            "t_seconds_sum{m=\"x\"} 3.65\n"
            "t_seconds_count{m=\"x\"} 4\n");
  EXPECT_EQ(&metrics.gauge("t_active", "Now."), &metrics.gauge("t_active", "Now."));
  EXPECT_THROW(requests.with({"one"}), std::logic_error);
}

TEST(Metrics, ConcurrentIncrementsAreNotLost) {
  Metrics metrics;
  auto& family = metrics.counter("t_total", "T.", {"k"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) family.with({i % 2 ? "a" : "b"}).add();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(family.with({"a"}).value() + family.with({"b"}).value(), 40000u);
}

}  // namespace
}  // namespace tessera
