// The inner loops of attention and of the row-wise operations, one set per instruction set.
//
// Included by sources compiled for one instruction set each, so nothing here may be an inline
// function or need a standard template (STYLE 3).
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::cpu {

inline constexpr int kAttentionPartition = 256;  // keys; see compute/attention.h
inline constexpr int kAttentionRows = 6;         // query rows whose scores are held at a time

enum class StoredType { kF32, kF16, kBF16 };

// Floats from one dimension of the keys to the next: not a power of two, or the rows of a partition
// would compete for the same few sets of the L1 cache.
inline constexpr int kAttentionKeyStride = kAttentionPartition + 16;

// One partition of keys against some query rows of one KV head. All pointers are 64-byte aligned;
// head_dim is padded with zeros to `width`, a multiple of 16, wherever `width` is the stride.
struct AttentionTile {
  const float* queries;  // [rows][width], scaled by scale * log2(e)
  // Widened keys and values, or null: then they are read as they are stored. Widening pays when
  // many rows share the partition; both give the same bits.
  const float* keys;    // [head_dim][kAttentionKeyStride], transposed
  const float* values;  // [kAttentionPartition][width]
  // 16 tokens each: [head_dim][key_stride] and [16][head_dim] elements of `stored_type`. Only when
  // head_dim is a multiple of 16.
  const void* const* key_slices;
  const void* const* value_slices;
  int key_stride;
  StoredType stored_type;
  const int* first;  // [rows] visible keys of this partition are [first, last);
  const int* last;   //        none when first >= last
  // ALiBi, or null: slopes[row] * (key - origin[row]) is added to the scores, where keys count from
  // the start of the partition and slopes are scaled by log2(e).
  const float* slopes;  // [rows]
  const int* origin;    // [rows]
  int rows, head_dim, width;
  float* scores;   // scratch, [kAttentionRows][kAttentionPartition]
  float* partial;  // scratch, [kAttentionRows][width]
  // Running softmax over the partitions so far: maximum (-inf: none), sum and weighted values.
  float* maximum;  // [rows]
  float* sum;      // [rows]
  float* output;   // [rows][width]
};

// The same with everything but the running softmax in bf16, for bidirectional attention between
// linear layers that take bf16 anyway. Pairs of neighbours (dimensions of queries and keys, keys of
// values) share 32 bits, the first in the low half.
struct Bf16AttentionTile {
  const float* queries;        // [rows][width], scaled by scale * log2(e)
  std::uint32_t* query_pairs;  // scratch, [kAttentionRows][width / 2]
  const float* keys;           // row k at k * stride: head_dim floats
  const float* values;         // the same
  std::int64_t stride;
  std::uint32_t* key_rows;     // scratch, [kAttentionPartition][width / 2]
  std::uint32_t* key_pairs;    // scratch, [width / 2][kAttentionKeyStride]
  std::uint32_t* value_pairs;  // scratch, [kAttentionPartition / 2][width]
  int rows, head_dim, width, key_count;
  float* scores;   // scratch, [kAttentionRows][kAttentionPartition]
  float* partial;  // scratch, [kAttentionRows][width]
  float* maximum;  // [rows]
  float* sum;      // [rows]
  float* output;   // [rows][width]
};

struct AttentionKernels {
  // Null where there is no bf16 dot product.
  void (*attend_bf16)(const Bf16AttentionTile& tile);
  // Adds one partition to the running softmax.
  void (*attend)(const AttentionTile& tile);
  // The same from finished partitions: merges (maximum, sum, output) of `from` into `into`.
  void (*merge)(float from_maximum, float from_sum, const float* from_output, float* into_maximum,
                float* into_sum, float* into_output, int width);
  // f16 or bf16 (by `is_bf16`) to f32: `rows` rows of `columns` values, strides in elements.
  void (*widen)(bool is_bf16, const std::uint16_t* from, std::int64_t from_stride, float* to,
                std::int64_t to_stride, int rows, int columns);
  // f32 to f16 (saturating) or bf16, contiguous.
  void (*narrow)(bool is_bf16, const float* from, std::uint16_t* to, int count);
  // to[c][r] = from[r][c]; strides in elements.
  void (*transpose)(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
                    int rows, int columns);
  // One head: rotates pairs (n, n + half) or (2n, 2n + 1).
  void (*rotate)(float* head, const float* cosine, const float* sine, int half, bool interleaved);

  // Rows of `columns` values.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, float* y, int columns);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float epsilon,
                     float* y, int columns);
  void (*gelu)(float* x, std::int64_t count);
  void (*gelu_tanh)(float* x, std::int64_t count);
  // y = silu(gate) * up
  void (*silu_mul)(const float* gate, const float* up, float* y, std::int64_t count);
};

extern const AttentionKernels kAttentionGeneric;
#if defined(__x86_64__)
extern const AttentionKernels kAttentionAvx2;
extern const AttentionKernels kAttentionAvx512;
#endif

// The set that goes with kernels() of compute/kernels.h.
const AttentionKernels& attention_kernels();
// By name ("generic", "avx2", "avx512"), null when this CPU cannot run it. For tests.
const AttentionKernels* find_attention_kernels(const char* name);

}  // namespace tessera::cpu
