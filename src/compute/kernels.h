// What compute/ asks of one instruction set: plain structs and a table of functions.
//
// Included by the kernel sources too, so nothing here may be an inline function with linkage.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

// How a panel of 16 output rows is held (docs/formats/packed-weights.md has the bytes).
enum class PanelKind : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kI8,     // d * q, q in [-128, 127] stored + 128, one f16 d per 32
  kU4,     // d * (q - 8)
  kU4Min,  // d * q + m
  kU5Min,
  kU4K,  // d * s * q - dmin * m, bytes s and m per 32, f16 d and dmin per 256
  kU5K,
  kU6K,     // d * s * (q - 32), one signed byte s per 16
  kU4Zero,  // d * (q + z), f16 d and z per 32
};

constexpr int kPanelRows = 16;
constexpr int kGroup = 32;  // input elements per block of a panel, and per activation scale

// The coarsest group of a row gets a second rounding when it makes up more than this part of the
// row's squared steps, and so of its noise.
constexpr float kOutlierShare = 0.25f;

constexpr int kSuperGroups = 8;  // groups under one header, in the kinds of K-quants

// A group has lines (16 rows by some inputs), then sets of 16 numbers, one per row. Every eighth
// group of the K kinds is preceded by a header of f16[16] sets. In the order of PanelKind:
constexpr int kPanelLineBytes[] = {64, 32, 64, 64, 64, 64, 64, 64, 64, 64, 64};
constexpr int kPanelLines[] = {32, 32, 16, 8, 4, 4, 5, 4, 5, 6, 4};
constexpr int kPanelSets[] = {0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2};
constexpr int kPanelSetBytes[] = {32, 32, 32, 32, 32, 32, 32, 16, 16, 16, 32};
constexpr int kPanelHeaderSets[] = {0, 0, 0, 0, 0, 0, 0, 2, 2, 1, 0};
// Of a group, an eighth of the header included: lines, sets and all.
constexpr int kPanelGroupBytes[] = {2048, 1024, 1024, 544, 288, 320, 384, 296, 360, 420, 320};

// Activations in blocks of at most block_rows rows: block b of n holds rows [rows*b/n,
// rows*(b+1)/n) with n = ceil(rows / block_rows). Inside a block the order is [group][row][32
// elements], so that a tile finds its operands at constant distances. Per-group numbers are
// [block][group][row] too.
//
// int8 only: what rounding left over of some groups, rounded in its turn. A block has a list of the
// groups that are an outlier of any of its rows (ascending; zeros for the other rows), in the order
// [extra][row] from cell rows * groups + (first row of the block) * extra_capacity on.
struct ActivationView {
  int rows;
  int groups;
  int block_rows;
  int extra_capacity;                // of a block; 0: no extras
  const std::int32_t* extra_counts;  // [block]
  const std::int32_t* extra_groups;  // [block][extra_capacity]
  const void* values;                // f32, bf16 or int8
  const float* scale;                // int8 only, as the rest
  const float* scaled_sum;           // scale * sum of the group, for the minimum of a weight group
  // Where the integer accumulator of biased weights starts.
  const std::int32_t* start_u4;       // -8 * sum
  const std::int32_t* start_i8;       // -128 * sum, or 0 where dot_i8 takes off the bias itself
  const std::int32_t* start_u6_low;   // -32 * sum of the first 16
  const std::int32_t* start_u6_high;  // -32 * sum of the last 16
};

enum class Epilogue : std::uint8_t { kStore, kAdd, kSilu, kGelu };

// One run of output rows, as slabs. A slab is two panels interleaved line by line, so that it is
// one stream of whole cache lines. Plain: output rows 32 s … 32 s + 31; the last slab has one panel
// when their number is odd. Gated: the gate and the up panel of rows 16 s … 16 s + 15; where their
// kinds differ one panel follows the other instead.
struct MatmulJob {
  const std::byte* slabs;
  std::int64_t slab_bytes;
  PanelKind kind;
  PanelKind up_kind;  // of the second panel; differs from kind only when gated
  Epilogue epilogue;
  int out_rows;       // valid rows
  const float* bias;  // [out_rows] or null
  float* y;           // [activation rows, y_stride], already moved to the first output row
  std::int64_t y_stride;
};

// Where a prepared row goes; the mutable twin of ActivationView.
struct ActivationSink {
  int rows;
  int groups;
  int block_rows;
  int extra_capacity;
  std::int32_t* extra_counts;
  std::int32_t* extra_groups;
  std::int32_t* outliers;  // [row], -1: none; their cells follow the extras
  void* values;
  float* scale;
  float* scaled_sum;
  std::int32_t* start_u4;
  std::int32_t* start_i8;
  std::int32_t* start_u6_low;
  std::int32_t* start_u6_high;
};

enum class ActivationKind : std::uint8_t { kF32, kBF16, kInt8 };

struct KernelTable {
  const char* name;
  bool bf16_dot;         // BF16 panels want BF16 activations; else f32
  int float_block_rows;  // ActivationView::block_rows of f32 and bf16
  int int8_block_rows;
  // Output rows of slabs [slab_begin, slab_end), all rows of the activations.
  void (*matmul)(const MatmulJob& job, const ActivationView& x, int slab_begin, int slab_end);
  // Prepares row `row` of x: [rows, cols]; norm_weight is null for no rms_norm.
  // Elements from cols to groups * 32 become zero.
  void (*prepare_row)(const float* x, std::int64_t cols, const float* norm_weight, float epsilon,
                      ActivationKind kind, int row, const ActivationSink& sink);
  // Once all rows of a block are prepared, where there are extras.
  void (*gather_extras)(int block, const ActivationSink& sink);
};

const KernelTable& kernels_generic();
#if defined(__x86_64__)
const KernelTable& kernels_avx2();
const KernelTable& kernels_avx512vnni();  // AVX-512 with VNNI but without BF16 (Ice Lake)
const KernelTable& kernels_avx512();
#endif

// The best table that this CPU runs. TESSERA_ISA=generic|avx2|avx512vnni|avx512 in the environment
// forces one (Error(kBadConfiguration) when the word is unknown or the CPU lacks it).
const KernelTable& kernels();
// By name, null when this CPU cannot run it.
const KernelTable* find_kernels(const char* name);
// For tests: kernels() returns `table` until the next call; null undoes it. Nothing packed or
// prepared before may be used after.
void force_kernels(const KernelTable* table);

}  // namespace tessera
