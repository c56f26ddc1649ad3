// The data path: query routes of the API (data-plane 1.1) on one side, workers and providers on the
// other, and a snapshot of the catalog in between. Knows neither store nor control.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "base/metrics.h"
#include "catalog/snapshot.h"
#include "catalog/usage.h"
#include "gateway/credentials.h"
#include "gateway/usage_meter.h"
#include "http/client.h"
#include "http/router.h"

namespace tessera::gateway {

struct GatewayOptions {
  bool v1_routes = true;  // the alias /v1/… of the OpenAI routes
  // Whole plain answers, and the first token of a stream (data-plane 1.7).
  std::chrono::milliseconds time_limit{297'000};
  std::chrono::milliseconds stream_time_limit{3'600'000};
  std::chrono::milliseconds keep_alive_interval{15'000};
  std::chrono::milliseconds stream_head_delay{20'000};  // as the server's option of that name
  std::size_t max_response_bytes = 32u << 20;           // of a plain answer
};

// What the path of a request needs, by reference.
struct Services {
  const catalog::SnapshotHolder& snapshots;
  http::Client& client;
  Credentials& credentials;
  EndpointMetrics& metrics;
  const UsageSink& usage_sink;
  const GatewayOptions& options;
};

// Built by app; everything handed in must outlive it. Handlers run on any thread.
class Gateway {
 public:
  // `usage_sink` is called once per request, on the request's thread: it must not block.
  Gateway(const catalog::SnapshotHolder& snapshots, http::Client& client, Metrics& metrics,
          UsageSink usage_sink, GatewayOptions options = {});

  // Adds the routes and how their errors look. The gateway must outlive the router's server.
  void mount(http::Router& router);

  // From now on new requests get 503 shutting_down; running ones go on.
  void drain() { draining_.store(true, std::memory_order_relaxed); }

 private:
  void check_draining() const;

  GatewayOptions options_;
  Credentials credentials_;
  EndpointMetrics metrics_;
  UsageSink usage_sink_;
  Services services_;
  std::atomic<bool> draining_{false};
};

}  // namespace tessera::gateway
