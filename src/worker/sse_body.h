// Chunks of a generation as Server-Sent Events, or folded into the plain answer: the two ways out
// of one stream.
//
// Source: awaitable<std::vector<Chunk>> next(Clock::time_point wake_at), bool is_finished() const,
// and to_json(Chunk) in api.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "http/body_stream.h"
#include "http/sse.h"

namespace tessera {

// Between comments that keep idle connections alive (data-plane 2.9).
inline constexpr std::chrono::seconds kPingInterval{15};

template <class Source>
class SseBody : public http::BodyStream {
 public:
  SseBody(std::unique_ptr<Source> source, bool sends_pings)
      : source_(std::move(source)), sends_pings_(sends_pings) {}

  http::asio::awaitable<std::optional<std::string>> next() override {
    if (source_->is_finished()) co_return std::nullopt;
    std::string events;
    while (events.empty()) {
      const auto wake_at = std::chrono::steady_clock::now() + kPingInterval;
      const auto chunks = co_await source_->next(wake_at);
      for (const auto& chunk : chunks) events += http::sse_data(to_json(chunk));
      if (source_->is_finished()) {
        events += http::sse_data("[DONE]");
      } else if (events.empty() && has_sent_ && sends_pings_ &&
                 std::chrono::steady_clock::now() >= wake_at) {
        events = ": ping\n\n";
      }
    }
    has_sent_ = true;
    co_return events;
  }

 private:
  std::unique_ptr<Source> source_;
  bool sends_pings_;
  bool has_sent_ = false;
};

template <class Source, class Fold>
http::asio::awaitable<void> fold_all(Source& source, Fold& fold) {
  while (!source.is_finished()) {
    auto chunks = co_await source.next(std::chrono::steady_clock::now() + std::chrono::hours(24));
    for (auto& chunk : chunks) fold.add(std::move(chunk));
  }
}

}  // namespace tessera
