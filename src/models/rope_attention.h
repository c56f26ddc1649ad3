// Causal attention with rotary positions over paged keys and values, as the Llama family and DBRX
// have it: from the projected queries, keys and values to the heads' outputs.
//
// Owned by a model, one object for all its layers; used by one thread at a time.
#pragma once

#include <map>

#include "compute/attention.h"
#include "compute/parallel.h"
#include "compute/rotary.h"
#include "compute/tensor.h"
#include "models/checkpoint.h"
#include "models/config.h"
#include "models/model.h"

namespace tessera {

class RopeAttention {
 public:
  // Throws Error(kBadModelFile) when the frequencies that a GGUF file carries do not fit.
  RopeAttention(const Checkpoint& checkpoint, const ModelConfig& config);

  const AttentionShape& shape() const { return shape_; }

  // Tables for all positions of the batch; before the first layer.
  void prepare(const Batch& batch);
  // qkv: [tokens, q_size + 2 * kv_size], rotated in place; its keys and values go to `kv`.
  // out: resized to [tokens, q_size].
  void forward(const Batch& batch, const KvLayer& kv, Tensor& qkv, Tensor& out, ThreadPool& pool);

 private:
  void rotate_batch(const Batch& batch, Tensor& qkv, ThreadPool& pool);

  ModelConfig config_;
  AttentionShape shape_;
  RopePairing pairing_;
  RotaryTable rotary_;
  int dynamic_from_ = 0;                  // prompts longer than this have tables of their own
  std::map<int, RotaryTable> stretched_;  // dynamic rope, by prompt length
  Attention attention_;
};

}  // namespace tessera
