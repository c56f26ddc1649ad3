#include "models/rope_attention.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "models/architectures.h"

namespace tessera {
namespace {

std::vector<float> frequencies_of(const Checkpoint& checkpoint, const ModelConfig& config) {
  if (checkpoint.find("rope_freqs.weight") == nullptr) {
    return rope_frequencies(config.rope_theta, config.rope_scaling, config.head_dim);
  }
  // GGUF carries the scaling of Llama 3.1 and later as divisors of the plain frequencies.
  const std::vector<float> divisors =
      read_vector(checkpoint, "rope_freqs.weight", config.head_dim / 2);
  std::vector<float> frequencies =
      rope_frequencies(config.rope_theta, RopeScaling{}, config.head_dim);
  for (std::size_t n = 0; n < frequencies.size(); ++n) frequencies[n] /= divisors[n];
  return frequencies;
}

}  // namespace

RopeAttention::RopeAttention(const Checkpoint& checkpoint, const ModelConfig& config)
    : config_(config),
      shape_(attention_shape(config)),
      pairing_(config.rope_interleaved ? RopePairing::kInterleaved : RopePairing::kHalfSplit),
      rotary_(frequencies_of(checkpoint, config), rope_attention_factor(config.rope_scaling)) {
  if (config.rope_scaling.type == RopeType::kDynamic) {
    dynamic_from_ = config.max_position_embeddings;
  }
}

void RopeAttention::prepare(const Batch& batch) {
  const std::int32_t last_position =
      batch.positions.empty() ? 0
                              : *std::max_element(batch.positions.begin(), batch.positions.end());
  rotary_.ensure(last_position + 1);
  if (dynamic_from_ == 0) return;
  constexpr std::size_t kMaxTables = 64;
  if (stretched_.size() > kMaxTables) stretched_.clear();
  for (const std::int32_t length : batch.prompt_lengths) {
    if (length <= dynamic_from_) continue;
    RotaryTable& table =
        stretched_
            .try_emplace(
                length, rope_frequencies(config_.rope_theta, config_.rope_scaling, config_.head_dim,
                                         length, config_.max_position_embeddings))
            .first->second;
    table.ensure(last_position + 1);
  }
}

void RopeAttention::rotate_batch(const Batch& batch, Tensor& qkv, ThreadPool& pool) {
  if (dynamic_from_ == 0 || batch.prompt_lengths.empty()) {
    rotate(qkv, 0, shape_, batch.positions, rotary_, pairing_, pool);
    return;
  }
  for (int s = 0; s < batch.sequences(); ++s) {
    const int begin = batch.cu_seqlens[s], end = batch.cu_seqlens[s + 1];
    const auto table = stretched_.find(batch.prompt_lengths[s]);
    rotate(qkv, begin, shape_, batch.positions.subspan(begin, end - begin),
           table == stretched_.end() ? rotary_ : table->second, pairing_, pool);
  }
}

void RopeAttention::forward(const Batch& batch, const KvLayer& kv, Tensor& qkv, Tensor& out,
                            ThreadPool& pool) {
  rotate_batch(batch, qkv, pool);
  store_kv(qkv, shape_, batch.slot_mapping, kv, pool);
  attention_.paged(qkv, shape_, {batch.positions, batch.cu_seqlens, batch.block_tables}, kv, out,
                   pool);
}

}  // namespace tessera
