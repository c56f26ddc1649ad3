// The engine thread's work for a language model: schedule, run, settle.
//
// Owns scheduler, block manager, KV cache and the requests in flight. Engine thread only, except
// the constructor and max_model_len(). Failures stay with the request they belong to.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/block_manager.h"
#include "engine/engine.h"
#include "engine/kv_sizing.h"
#include "engine/mailbox.h"
#include "engine/model_runner.h"
#include "engine/request_state.h"
#include "engine/scheduler.h"

namespace tessera {

class GenerationLoop {
 public:
  // `mailbox` is told when requests leave the queue and end. Throws Error(kBadConfiguration) when
  // the KV cache does not fit.
  GenerationLoop(const EngineOptions& options, LanguageModel& model, ThreadPool& pool,
                 int usable_vocab, Mailbox& mailbox);

  int max_model_len() const { return kv_size_.max_model_len; }
  bool has_work() const { return !requests_.empty(); }

  void begin(std::unique_ptr<RequestState> state);
  void cancel(std::uint64_t id);
  void stop_sample(std::uint64_t id, int sample);
  // One step; tells the clients what it did for them.
  void step();
  // Every request in flight ends with `error`.
  void fail_all(const Error& error);

  EngineStats stats() const;

 private:
  void settle(const ScheduledSequence& scheduled, const SequenceResult& result);
  void accept(Sequence& sequence, const SampledToken& sampled);
  void finish(Sequence& sequence);
  void fail(RequestState& state, const Error& error);
  void remove_sequences(RequestState& state);
  void touch(RequestState& state);
  void deliver();

  std::vector<std::int32_t> eos_token_ids_;
  Mailbox& mailbox_;
  const KvSize kv_size_;
  KvCache kv_;
  BlockManager blocks_;
  Scheduler scheduler_;
  ModelRunner runner_;
  std::unordered_map<std::uint64_t, std::unique_ptr<RequestState>> requests_;
  std::vector<RequestState*> touched_;  // by this step
  EngineStats counters_;
};

}  // namespace tessera
