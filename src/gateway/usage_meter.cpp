#include "gateway/usage_meter.h"

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "base/strings.h"

namespace tessera::gateway {
namespace {

const std::vector<std::string> kLabels = {"endpoint_name"};

}  // namespace

EndpointMetrics::EndpointMetrics(Metrics& metrics)
    : requests_(metrics.counter("request_count_total", "Requests to an endpoint.", kLabels)),
      client_errors_(metrics.counter("request_4xx_count_total",
                                     "Requests answered with a 4xx status, or left by the client.",
                                     kLabels)),
      server_errors_(metrics.counter("request_5xx_count_total",
                                     "Requests answered with a 5xx status, or broken off.",
                                     kLabels)),
      input_tokens_(metrics.counter("input_tokens_total", "Prompt tokens.", kLabels)),
      output_tokens_(metrics.counter("output_tokens_total", "Generated tokens.", kLabels)),
      latency_ms_(metrics.histogram("request_latency_ms",
                                    "From the last byte of the request to the end of the answer.",
                                    exponential_bounds(1, 2, 20), kLabels)),
      first_token_ms_(metrics.histogram("time_to_first_token_ms",
                                        "From the last byte of the request to the first token.",
                                        exponential_bounds(1, 2, 18), kLabels)) {}

EndpointSeries& EndpointMetrics::of(const std::string& endpoint_name) {
  std::lock_guard lock(mutex_);
  const auto found = series_.find(endpoint_name);
  if (found != series_.end()) return found->second;
  const std::vector<std::string> labels = {endpoint_name};
  return series_
      .emplace(endpoint_name,
               EndpointSeries{requests_.with(labels), client_errors_.with(labels),
                              server_errors_.with(labels), input_tokens_.with(labels),
                              output_tokens_.with(labels), latency_ms_.with(labels),
                              first_token_ms_.with(labels)})
      .first->second;
}

UsageMeter::UsageMeter(const UsageSink& sink, EndpointMetrics& metrics,
                       const http::Request& request, std::string requester)
    : sink_(sink), metrics_(metrics), started_us_(steady_us()) {
  record_.request_id = request.id;
  record_.request_time_ms = now_ms();
  record_.requester = std::move(requester);
  record_.user_agent = request.headers.get("user-agent").value_or("");
  record_.peer_ip = request.peer_ip;
}

UsageMeter::~UsageMeter() {
  record_.latency_ms = elapsed_ms();
  record_.status_code = status_.value_or(http_status(ErrorKind::kClientClosed));
  // A plain answer's first byte is its last.
  const bool whole = record_.status_code == 200 && !record_.streaming;
  record_.time_to_first_byte_ms = first_token_ms_.value_or(whole ? record_.latency_ms : 0);
  if (!reported_ && record_.output_characters > 0) {  // data-plane 2.10
    record_.estimated = true;
    record_.input_tokens = (record_.input_characters + 1) / 4;
    record_.output_tokens = (record_.output_characters + 1) / 4;
  }
  if (!record_.endpoint_name.empty()) {
    EndpointSeries& series = metrics_.of(record_.endpoint_name);
    series.requests.add();
    if (record_.status_code >= 500) {
      series.server_errors.add();
    } else if (record_.status_code >= 400) {
      series.client_errors.add();
    }
    series.input_tokens.add(static_cast<std::uint64_t>(record_.input_tokens));
    series.output_tokens.add(static_cast<std::uint64_t>(record_.output_tokens));
    series.latency_ms.observe(static_cast<double>(record_.latency_ms));
    if (first_token_ms_) series.first_token_ms.observe(static_cast<double>(*first_token_ms_));
  }
  if (!sink_) return;
  try {
    sink_(std::move(record_));
  } catch (const std::exception& error) {  // the answer has been sent; only the row is lost
    log_error("gateway", "a usage row was lost", {{"reason", error.what()}});
  }
}

void UsageMeter::endpoint(const catalog::Endpoint& endpoint) {
  record_.endpoint_name = endpoint.name;
  record_.endpoint_id = endpoint.id;
}

void UsageMeter::entity(const catalog::ServedEntity& entity) {
  record_.served_entity_id = entity.id;
  record_.served_entity_name = entity.name;
  record_.entity_name = entity.entity_name;
  record_.entity_version = entity.entity_version;
}

void UsageMeter::first_token() {
  if (!first_token_ms_) first_token_ms_ = elapsed_ms();
}

void UsageMeter::usage(const api::Usage& usage) {
  reported_ = true;
  record_.input_tokens = std::max<std::int64_t>(0, usage.prompt_tokens);
  record_.output_tokens = std::max<std::int64_t>(0, usage.completion_tokens.value_or(0));
  record_.cached_tokens = usage.cached_tokens.value_or(0);
}

void UsageMeter::output(std::string_view text) {
  record_.output_characters += static_cast<std::int64_t>(utf8_length(text));
}

void UsageMeter::finish_reason(api::FinishReason reason) {
  record_.finish_reason = api::to_string(reason);
}

std::int64_t UsageMeter::elapsed_ms() const { return (steady_us() - started_us_) / 1000; }

}  // namespace tessera::gateway
