// A step's plan laid out as the model wants it: all tokens one after the other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/scheduler.h"
#include "models/model.h"

namespace tessera {

// Owns the arrays that Batch points into; reused from step to step.
class PackedBatch {
 public:
  // Logits are wanted of the last token of each sequence that reaches its end, and of every token
  // of sequences that ask for prompt_logprobs and are still within their prompt.
  void pack(std::span<const ScheduledSequence> sequences, int block_size);
  // Whole inputs for an encoder: no KV cache, no logits.
  void pack(std::span<const std::span<const std::int32_t>> inputs);

  const Batch& batch() const { return batch_; }
  // Row of the logits that belongs to the first wanted token of sequence i; -1: none wanted.
  int first_logit_row(int i) const { return first_row_[i]; }

 private:
  void clear();
  void publish();

  std::vector<std::int32_t> token_ids_, positions_, cu_seqlens_, logit_rows_;
  std::vector<std::int64_t> slots_;
  std::vector<std::span<const std::int32_t>> block_tables_;
  std::vector<int> first_row_;
  Batch batch_;
};

// Whether every scheduled token of the sequence needs logits, not the last one only.
bool wants_prompt_logprobs(const Sequence& sequence);

}  // namespace tessera
