// The engine thread's work for an encoder: batch, run, hand out. Engine thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/batch.h"
#include "engine/embed_batcher.h"
#include "engine/engine.h"
#include "engine/mailbox.h"
#include "engine/request_state.h"

namespace tessera {

class EmbeddingLoop {
 public:
  EmbeddingLoop(EmbeddingModel& model, Mailbox& mailbox) : model_(model), mailbox_(mailbox) {}

  bool has_work() const { return !requests_.empty(); }

  void begin(std::unique_ptr<EmbedState> state);
  void cancel(std::uint64_t id);
  // One batch; answers the requests that it completes.
  void step();
  void fail_all(const Error& error);

  EngineStats stats() const;

 private:
  using Embeddings = std::vector<std::vector<float>>;
  void run_one_by_one(const std::vector<std::span<const std::int32_t>>& inputs,
                      const std::exception& failure);
  void end(std::uint64_t id, Result<Embeddings> result);

  EmbeddingModel& model_;
  Mailbox& mailbox_;
  EmbedBatcher batcher_;
  PackedBatch packed_;
  Tensor embeddings_;
  std::unordered_map<std::uint64_t, std::unique_ptr<EmbedState>> requests_;
  EngineStats counters_;
};

}  // namespace tessera
