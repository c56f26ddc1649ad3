// The only way into the engine thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "engine/request_state.h"

namespace tessera {

struct Mailbox {
  struct Cancel {
    std::uint64_t id;
  };
  struct StopSample {
    std::uint64_t id;
    int sample;
  };
  using Message =
      std::variant<std::unique_ptr<RequestState>, std::unique_ptr<EmbedState>, Cancel, StopSample>;

  void post(Message message) {
    {
      std::lock_guard lock(mutex);
      if (is_closed) return;
      messages.push_back(std::move(message));
    }
    wake.notify_one();
  }

  // A step begins a request; it ends, having begun or not.
  void leave_queue(bool& is_started) {
    if (std::exchange(is_started, true)) return;
    std::lock_guard lock(mutex);
    --queued;
    ++running;
  }
  void leave(bool was_started) {
    std::lock_guard lock(mutex);
    --(was_started ? running : queued);
  }
  void observe_service(double seconds) {
    std::lock_guard lock(mutex);
    service_seconds = service_seconds == 0 ? seconds : 0.9 * service_seconds + 0.1 * seconds;
  }

  std::mutex mutex;  // guards everything below
  std::condition_variable wake;
  std::vector<Message> messages;
  bool is_closed = false;
  int queued = 0;              // requests accepted that no step has begun yet
  double service_seconds = 0;  // average from first step to end of a request; 0: none yet
  int running = 0;             // requests begun and not ended
};

}  // namespace tessera
