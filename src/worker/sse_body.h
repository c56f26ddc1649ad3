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

inline std::chrono::steady_clock::time_point far_away() {
  return std::chrono::steady_clock::now() + std::chrono::hours(24);
}

template <class Source>
class SseBody : public http::BodyStream {
 public:
  explicit SseBody(std::unique_ptr<Source> source) : source_(std::move(source)) {}

  http::asio::awaitable<std::optional<std::string>> next() override {
    if (source_->is_finished()) co_return std::nullopt;
    std::string events;
    while (events.empty()) {
      const auto chunks = co_await source_->next(far_away());
      for (const auto& chunk : chunks) events += http::sse_data(to_json(chunk));
      if (source_->is_finished()) events += http::sse_data("[DONE]");
    }
    co_return events;
  }

 private:
  std::unique_ptr<Source> source_;
};

template <class Source, class Fold>
http::asio::awaitable<void> fold_all(Source& source, Fold& fold) {
  while (!source.is_finished()) {
    auto chunks = co_await source.next(far_away());
    for (auto& chunk : chunks) fold.add(std::move(chunk));
  }
}

}  // namespace tessera
