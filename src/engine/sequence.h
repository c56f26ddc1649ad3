// One growing list of tokens: a prompt and what was generated after it.
//
// Owned by the engine's request; the scheduler and the block manager keep pointers and the fields
// marked as theirs. Used on the engine thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/sampler.h"
#include "engine/sampling_params.h"

namespace tessera {

struct RequestState;  // engine.cpp

struct Sequence {
  RequestState* request = nullptr;
  const SamplingParams* sampling = nullptr;
  std::span<const std::int32_t> end_token_ids;  // what ends it; masked before min_tokens
  int sample = 0;                               // 0 … n-1
  std::uint64_t key = 0;                        // of its random numbers

  std::vector<std::int32_t> tokens;
  int prompt_tokens = 0;
  TokenCounts counts;            // filled when the penalties need it
  int prompt_logprobs_done = 0;  // leading prompt tokens whose log probability was reported
  bool finished = false;

  // Samples that share this one's prompt and start when its prefill is done; empty afterwards.
  std::vector<Sequence*> forks;

  // Scheduler: order is (priority, arrival, sample), the smallest first.
  int priority = 0;
  std::uint64_t arrival = 0;
  bool running = false;

  // Block manager.
  int computed = 0;       // leading tokens whose keys and values are in the cache
  int cached_tokens = 0;  // of these, found in the prefix cache at the last admission
  bool may_use_prefix_cache = true;
  std::vector<std::int32_t> block_table;
  std::vector<std::uint64_t> block_hashes;  // hash chain over the full blocks of `tokens`
  int registered = 0;                       // leading blocks already offered to the cache
  std::uint64_t chain = 0;                  // identity of the last of these; 0 at the start

  int size() const { return static_cast<int>(tokens.size()); }
  int uncomputed() const { return size() - computed; }
  int generated() const { return size() - prompt_tokens; }
  std::span<const std::int32_t> output() const {
    return std::span(tokens).subspan(static_cast<std::size_t>(prompt_tokens));
  }
  // Sequences it stands for in limits: itself and those not yet forked.
  int weight() const { return 1 + static_cast<int>(forks.size()); }

  bool before(const Sequence& other) const {
    if (priority != other.priority) return priority < other.priority;
    if (arrival != other.arrival) return arrival < other.arrival;
    return sample < other.sample;
  }
};

}  // namespace tessera
