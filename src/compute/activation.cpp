#include "compute/activation.h"

#include "compute/cpu/attention_kernels.h"
#include "compute/row_chunks.h"

namespace tessera {

void gelu(Tensor& x, ThreadPool& pool) {
  const auto& kernels = cpu::attention_kernels();
  for_row_ranges(x.rows(), x.cols(), pool, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) kernels.gelu(x.row(r), x.cols());
  });
}

void gelu_tanh(Tensor& x, ThreadPool& pool) {
  const auto& kernels = cpu::attention_kernels();
  for_row_ranges(x.rows(), x.cols(), pool, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) kernels.gelu_tanh(x.row(r), x.cols());
  });
}

void clamp(Tensor& x, float limit, ThreadPool& pool) {
  const std::int64_t cols = x.cols();
  for_row_ranges(x.rows(), cols, pool, [&](std::int64_t first, std::int64_t last) {
    float* values = x.row(first);
    for (std::int64_t i = 0; i < (last - first) * cols; ++i) {
      const float v = values[i] > limit ? limit : values[i];
      values[i] = v < -limit ? -limit : v;
    }
  });
}

void silu_mul(const Tensor& gate_up, Tensor& y, ThreadPool& pool) {
  const auto& kernels = cpu::attention_kernels();
  const std::int64_t cols = gate_up.cols() / 2;
  y.resize(gate_up.rows(), cols);
  for_row_ranges(y.rows(), cols, pool, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      kernels.silu_mul(gate_up.row(r), gate_up.row(r) + cols, y.row(r), cols);
    }
  });
}

}  // namespace tessera
