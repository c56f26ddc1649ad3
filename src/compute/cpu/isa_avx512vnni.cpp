#include "compute/kernels.h"
// simd.h reads the instruction set from the flags of this file.
#include "compute/cpu/simd.h"
// clang-format off: each body builds on those above it.
#include "compute/cpu/matmul.inl"
#include "compute/cpu/qmatmul.inl"
#include "compute/cpu/rowwise.inl"
#include "compute/cpu/table.inl"
// clang-format on

namespace tessera {

const KernelTable& kernels_avx512vnni() {
  static const KernelTable table = kernel_table("avx512vnni");
  return table;
}

}  // namespace tessera
