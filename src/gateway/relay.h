// The way of an answer back to the client: a plain one in one piece, a stream event by event.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "catalog/served_entity.h"
#include "gateway/task_request.h"
#include "gateway/usage_meter.h"
#include "http/client.h"
#include "providers/provider.h"

namespace tessera::gateway {

// Where usage stands in a stream (data-plane 2.9).
enum class StreamUsage {
  kNowhere,  // OpenAI routes, unless asked for
  kLast,     // include_usage: null in every chunk, then one chunk without choices
  kRunning,  // continuous_usage_stats: totals in every chunk, and that last one
  kNative,   // native routes, unless asked for: totals in every chunk, none without choices
};
StreamUsage stream_usage(const api::GenerationFields& fields, bool native);

struct RelayOptions {
  StreamUsage usage = StreamUsage::kNowhere;
  std::string shown_model;
  std::string keep_alive;                  // a piece that no client takes for data
  bool late = false;                       // the head is overdue: send keep_alive at once
  std::chrono::milliseconds time_limit{};  // of the whole stream, since the request came
};

// The body of a streamed answer. `entity` must outlive it, as `keep` makes sure (a snapshot).
// Owns the meter and settles it: 200 once [DONE] is written, the error's status when it breaks.
std::unique_ptr<http::BodyStream> relay_stream(
    const TaskRequest& request, const providers::Provider& provider,
    std::unique_ptr<http::BodyStream> upstream, const catalog::ServedEntity& entity,
    std::shared_ptr<const void> keep, std::unique_ptr<UsageMeter> meter, RelayOptions options);

// A worker's plain answer as the client gets it, and its usage into the meter. `served_model_name`
// is added when not empty. Throws Error(kUpstreamBadGateway) when the body is not an answer.
std::string relay_plain(std::string body, std::string_view served_model_name, UsageMeter& meter);

}  // namespace tessera::gateway
