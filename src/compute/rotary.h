// Rotary position embedding (RoFormer, arXiv:2104.09864) with the frequency scalings of published
// checkpoints. One RotaryTable serves all layers of a model; it grows with the positions asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tessera {

enum class RopeType : std::uint8_t { kDefault, kLinear, kDynamic, kYarn, kLlama3 };

// Normalised form of rope_scaling / rope_parameters of config.json and of rope.* of GGUF.
struct RopeParameters {
  RopeType type = RopeType::kDefault;
  float theta = 10000.0f;
  float factor = 1.0f;
  int original_max_position = 0;  // original_max_position_embeddings, else max_position_embeddings
  // llama3
  float low_freq_factor = 1.0f, high_freq_factor = 4.0f;
  // yarn
  float beta_fast = 32.0f, beta_slow = 1.0f;
  float attention_factor = 0.0f;  // 0: derived from factor, mscale and mscale_all_dim
  float mscale = 0.0f, mscale_all_dim = 0.0f;
  bool truncate = true;
  // GGUF rope_freqs.weight: divisor of each base frequency, [head_dim / 2]; replaces any scaling.
  std::vector<float> frequency_divisors;
};

// Which elements of a head form a rotated pair: n and n + head_dim/2 (Hugging Face), or 2n and
// 2n + 1 (rows of q_proj and k_proj permuted as GGUF files of the llama architecture have them).
enum class RopePairing : std::uint8_t { kHalfSplit, kInterleaved };

// f_n = theta^(-2n/D) with the scaling applied, n = 0 … head_dim/2 - 1, computed in f32 as the
// reference does. `length` is the sequence length kDynamic stretches for; others ignore it.
std::vector<float> rope_frequencies(const RopeParameters& parameters, int head_dim, int length = 0);
// The factor that multiplies cosine and sine (1 except for yarn).
float rope_attention_factor(const RopeParameters& parameters);

// cos and sin of position * f_n, times the attention factor.
class RotaryTable {
 public:
  RotaryTable() = default;
  // head_dim is even. Throws Error(kBadModelFile) when frequency_divisors has another length.
  RotaryTable(const RopeParameters& parameters, int head_dim);

  // Makes rows 0 … positions-1 available. Not thread-safe; call before the parallel part.
  void ensure(std::int64_t positions);
  // [head_dim / 2] cosines, then [head_dim / 2] sines. Only below the ensured number.
  const float* row(std::int64_t position) const {
    return chunks_[static_cast<std::size_t>(position / kChunk)].get() +
           position % kChunk * head_dim_;
  }
  int head_dim() const { return head_dim_; }

 private:
  static constexpr std::int64_t kChunk = 256;
  int head_dim_ = 0;
  float attention_factor_ = 1.0f;
  std::vector<float> frequencies_;
  std::vector<std::unique_ptr<float[]>> chunks_;
};

}  // namespace tessera
