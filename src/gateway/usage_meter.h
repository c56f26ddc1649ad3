// What a request used and how it went: one usage row and the endpoint's metrics, written when the
// meter goes out of scope. A meter that nobody settled belongs to a client that left: status 499.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "api/fields.h"
#include "base/error.h"
#include "base/metrics.h"
#include "catalog/endpoint.h"
#include "catalog/usage.h"
#include "http/message.h"

namespace tessera::gateway {

using UsageSink = std::function<void(catalog::UsageRecord&&)>;

// The series of one endpoint (data-plane 1.2). References into the registry.
struct EndpointSeries {
  Counter& requests;
  Counter& client_errors;
  Counter& server_errors;
  Counter& input_tokens;
  Counter& output_tokens;
  Histogram& latency_ms;
  Histogram& first_token_ms;
};

class EndpointMetrics {
 public:
  explicit EndpointMetrics(Metrics& metrics);
  // Any thread. Only for endpoints that exist: names of clients must not become series.
  EndpointSeries& of(const std::string& endpoint_name);

 private:
  Family<Counter>& requests_;
  Family<Counter>& client_errors_;
  Family<Counter>& server_errors_;
  Family<Counter>& input_tokens_;
  Family<Counter>& output_tokens_;
  Family<Histogram>& latency_ms_;
  Family<Histogram>& first_token_ms_;
  std::mutex mutex_;
  std::map<std::string, EndpointSeries, std::less<>> series_;  // guarded by mutex_
};

// One request. Used on the request's strand only.
class UsageMeter {
 public:
  UsageMeter(const UsageSink& sink, EndpointMetrics& metrics, const http::Request& request,
             std::string requester);
  ~UsageMeter();
  UsageMeter(const UsageMeter&) = delete;
  UsageMeter& operator=(const UsageMeter&) = delete;

  void endpoint(const catalog::Endpoint& endpoint);
  void entity(const catalog::ServedEntity& entity);

  void first_token();  // the first call counts
  // Running totals: the last ones stand.
  void usage(const api::Usage& usage);
  void output(std::string_view text);  // for the estimate of upstreams that report nothing
  void finish_reason(api::FinishReason reason);

  void succeeded() { status_ = 200; }
  void failed(const Error& error) { status_ = http_status(error.kind); }

  std::int64_t elapsed_ms() const;
  catalog::UsageRecord& record() { return record_; }

 private:
  const UsageSink& sink_;
  EndpointMetrics& metrics_;
  catalog::UsageRecord record_;
  std::int64_t started_us_;
  std::optional<int> status_;
  std::optional<std::int64_t> first_token_ms_;
  bool reported_ = false;  // the upstream told its usage
};

}  // namespace tessera::gateway
