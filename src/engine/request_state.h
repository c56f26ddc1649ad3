// What the engine thread keeps of one request, from arrival to its last event.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/sequence.h"

namespace tessera {

struct Mailbox;

// Shared by a handle and the engine thread.
struct Ticket {
  std::shared_ptr<Mailbox> mailbox;
  std::uint64_t id = 0;
  std::atomic<bool> is_over{false};  // nothing is left to cancel
};

struct RequestState {
  using Clock = std::chrono::steady_clock;

  std::shared_ptr<Ticket> ticket;
  GenerationRequest request;
  std::vector<std::int32_t> end_token_ids;
  std::vector<std::unique_ptr<Sequence>> sequences;
  int live = 0;  // sequences not finished

  bool is_started = false;  // a step has begun it
  bool has_token = false;
  Clock::time_point submitted_at, started_at, first_token_at;

  GenerationEvent event;    // what this step did for it
  bool is_touched = false;  // `event` has to be delivered at the end of the step
  bool is_over = false;     // `event` is the last one
};

struct EmbedState {
  std::shared_ptr<Ticket> ticket;
  EmbeddingRequest request;
  bool is_started = false;
};

}  // namespace tessera
