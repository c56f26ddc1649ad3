// Rows of matrices that Hugging Face folders hold as integers, scales and zero points.
//
// Every factory checks types and shapes of the pieces and throws Error(kBadModelFile) naming the
// tensor, what was found and what is wanted. `name` is that of the module
// ("model.layers.0.mlp.up_proj"). The pieces are views; they must stay valid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "compute/tensor.h"

namespace tessera {

// W[o, i] = scales[g, o] * (q[i, o] - z[g, o]), the layout of AutoGPTQ:
// qweight I32 [in * bits / 32, out], qzeros I32 [groups, out * bits / 32], scales [groups, out].
struct GptqPieces {
  RawTensor qweight, qzeros, scales;
  std::optional<RawTensor> g_idx;  // I32 [in]; absent: group i / group_size
  int bits = 4;                    // 2, 4 or 8
  std::int64_t group_size = -1;    // -1: the whole input
  bool zero_is_one_less = true;    // checkpoint_format "gptq": z = stored + 1
};
RawTensor gptq_matrix(const std::string& name, GptqPieces pieces);

// The same formula without the one, the "gemm" layout of AutoAWQ: qweight I32 [in, out / 8], qzeros
// I32 [groups, out / 8], scales [groups, out]; nibble n of a word is column (0, 2, 4, 6, 1, 3, 5,
// 7)[n].
struct AwqPieces {
  RawTensor qweight, qzeros, scales;
  std::int64_t group_size = 128;
};
RawTensor awq_matrix(const std::string& name, AwqPieces pieces);

// "pack-quantized" of compressed-tensors: I32 [out, ceil(in * bits / 32)], offset 2^(bits - 1);
// scale [out, groups] or one number; zero points packed the same way along the rows.
struct PackedPieces {
  RawTensor packed, scale;
  std::optional<RawTensor> zero_point, g_idx;
  std::int64_t out = 0, in = 0;  // weight_shape
};
RawTensor packed_matrix(const std::string& name, PackedPieces pieces);

// W = weight * scale, FP8 or INT8 weights [out, in]. scale: one number, [out], [out, 1], or a grid
// [ceil(out / block_rows), ceil(in / block_cols)] (block sizes 0: from the shape, [out, groups]).
struct ScaledPieces {
  RawTensor weight, scale;
  std::optional<RawTensor> zero_point;  // I8, shaped like scale
  std::int64_t block_rows = 0, block_cols = 0;
};
RawTensor scaled_matrix(const std::string& name, ScaledPieces pieces);

}  // namespace tessera
