// Scaled dot-product attention over packed sequences: causal over paged keys and values, or
// bidirectional inside each sequence (encoders).
//
// Keys are taken in partitions of 256 absolute positions; inside a partition every number is
// accumulated in key order, and partitions are merged in order. So an output row has the same bits
// whether its prompt came whole, in chunks or token by token, alone or in a batch, and for every
// number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compute/parallel.h"
#include "compute/rotary.h"
#include "compute/tensor.h"

namespace tessera {
namespace cpu {
struct AttentionKernels;
}

enum class KvType : std::uint8_t { kF32, kF16, kBF16 };
constexpr int kv_element_bytes(KvType type) { return type == KvType::kF32 ? 4 : 2; }

// One layer of key/value memory in blocks of block_size tokens (a multiple of 16):
// [block][kv_head][keys, then values]. Keys lie transposed, [head_dim][block_size], so that a
// vector register takes one dimension of 16 tokens; values are [block_size][head_dim].
struct KvLayer {
  std::byte* data = nullptr;
  int kv_heads = 0, head_dim = 0, block_size = 0;
  KvType type = KvType::kF32;

  std::int64_t matrix_bytes() const {
    return static_cast<std::int64_t>(head_dim) * block_size * kv_element_bytes(type);
  }
  std::int64_t block_bytes() const { return 2 * kv_heads * matrix_bytes(); }
  std::byte* keys(std::int64_t block, int kv_head) const {
    return data + block * block_bytes() + 2 * kv_head * matrix_bytes();
  }
  std::byte* values(std::int64_t block, int kv_head) const {
    return keys(block, kv_head) + matrix_bytes();
  }
};

// Query head h uses KV head h / (heads / kv_heads).
struct AttentionShape {
  int heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 0.0f;      // of the scores: 1/sqrt(head_dim), unless the model says otherwise
  int sliding_window = 0;  // keys a query sees, itself included; 0: all
  // [heads] or empty. ALiBi (arXiv:2108.12409): slope * (key position - query position) is added to
  // each scaled score. Only for paged attention. The model owns them.
  std::span<const float> alibi_slopes;

  int q_size() const { return heads * head_dim; }
  int kv_size() const { return kv_heads * head_dim; }
  int qkv_size() const { return q_size() + 2 * kv_size(); }
};

// The slopes of the paper for any number of heads, with 2^-bias_max as the smallest: a geometric
// series for a power of two; else the even-numbered slopes of the next power of two (t_2, t_4, …),
// then its odd-numbered ones, as many as there are heads.
std::vector<float> alibi_slopes(int heads, double bias_max);

// Spans of the Batch, see models/model.h.
struct PackedSequences {
  std::span<const std::int32_t> positions;   // [tokens], consecutive inside a sequence
  std::span<const std::int32_t> cu_seqlens;  // [sequences + 1]
  std::span<const std::span<const std::int32_t>> block_tables;  // [sequences]
};

// Rotates the query and key heads of rows first_row, first_row + 1, … of
// qkv: [tokens, q_size + kv_size + kv_size] in place, one row per position. The table has them all.
void rotate(Tensor& qkv, std::int64_t first_row, const AttentionShape& shape,
            std::span<const std::int32_t> positions, const RotaryTable& table, RopePairing pairing,
            ThreadPool& pool);

// Stores keys and values of qkv rows into the layer; slot = block * block_size + offset. F16 values
// beyond its range are stored as +-65504.
void store_kv(const Tensor& qkv, const AttentionShape& shape,
              std::span<const std::int64_t> slot_mapping, const KvLayer& layer, ThreadPool& pool);

// Owns the scratch memory of the threads; one object serves all layers of a model.
// Not thread-safe.
class Attention {
 public:
  Attention();
  explicit Attention(const cpu::AttentionKernels& kernels);  // tests choose an instruction set
  ~Attention();
  Attention(Attention&&) noexcept;
  Attention& operator=(Attention&&) noexcept;

  // Queries of qkv attend to the stored keys of positions 0 … their own.
  // out: resized to [tokens, q_size].
  void paged(const Tensor& qkv, const AttentionShape& shape, const PackedSequences& sequences,
             const KvLayer& layer, Tensor& out, ThreadPool& pool);

  // Queries attend to all keys of their own sequence, taken from qkv itself. With allow_bf16, the
  // operands of both products are rounded to bf16 where the CPU has an instruction for that.
  void bidirectional(const Tensor& qkv, const AttentionShape& shape,
                     std::span<const std::int32_t> cu_seqlens, bool allow_bf16, Tensor& out,
                     ThreadPool& pool);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace tessera
