// Rotary position embedding (RoFormer, arXiv:2104.09864) with the frequency scalings of published
// checkpoints. One RotaryTable serves all layers of a model; it grows with the positions asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace tessera {

enum class RopeType : std::uint8_t { kDefault, kLinear, kDynamic, kYarn, kLlama3, kNtk };

// Fields of config.json's rope_scaling / rope_parameters; unused ones keep their defaults.
struct RopeScaling {
  RopeType type = RopeType::kDefault;
  double factor = 1.0;
  int original_max_position_embeddings = 0;              // filled in for yarn and llama3
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  // llama3
  double beta_fast = 32.0, beta_slow = 1.0;              // yarn
  std::optional<double> attention_factor;                // yarn
  double mscale = 0.0, mscale_all_dim = 0.0;             // yarn; 0: not given
  bool truncate = true;                                  // yarn
  std::optional<double> mixed_b;                         // ntk
};

// Which elements of a head form a rotated pair: n and n + head_dim/2 (Hugging Face), or 2n and
// 2n + 1 (rows of q_proj and k_proj permuted as GGUF files of the llama architecture have them).
enum class RopePairing : std::uint8_t { kHalfSplit, kInterleaved };

// f_n = theta^(-2n/head_dim), n = 0 … head_dim/2 - 1, scaled as `scaling` says, in f32 as the
// reference does. kDynamic stretches theta for sequences of `length` tokens, and does nothing up to
// `max_position_embeddings`; the other types ignore both.
std::vector<float> rope_frequencies(double theta, const RopeScaling& scaling, int head_dim,
                                    int length = 0, int max_position_embeddings = 0);
// What cosine and sine are multiplied by: 1 except for yarn.
float rope_attention_factor(const RopeScaling& scaling);

// cos and sin of position * f_n, times a factor.
class RotaryTable {
 public:
  RotaryTable() = default;
  explicit RotaryTable(std::vector<float> frequencies, float attention_factor = 1.0f);

  // Makes rows 0 … positions-1 available. Not thread-safe; call before the parallel part.
  void ensure(std::int64_t positions);
  // head_dim/2 cosines, then head_dim/2 sines. Only below the ensured number of positions.
  const float* row(std::int64_t position) const {
    return chunks_[static_cast<std::size_t>(position / kChunk)].get() +
           position % kChunk * head_dim();
  }
  int head_dim() const { return 2 * static_cast<int>(frequencies_.size()); }

 private:
  static constexpr std::int64_t kChunk = 256;
  std::vector<float> frequencies_;
  float attention_factor_ = 1.0f;
  std::vector<std::unique_ptr<float[]>> chunks_;
};

}  // namespace tessera
