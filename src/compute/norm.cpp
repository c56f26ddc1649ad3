#include "compute/norm.h"

#include <cassert>

#include "compute/cpu/attention_kernels.h"
#include "compute/row_chunks.h"

namespace tessera {

void rms_norm(const Tensor& x, std::span<const float> weight, float epsilon, Tensor& y,
              ThreadPool& pool) {
  assert(static_cast<std::int64_t>(weight.size()) == x.cols());
  if (&y != &x) y.resize(x.rows(), x.cols());
  const auto& kernels = cpu::attention_kernels();
  for_row_ranges(x.rows(), x.cols(), pool, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      kernels.rms_norm(x.row(r), weight.data(), epsilon, y.row(r), static_cast<int>(x.cols()));
    }
  });
}

void layer_norm(const Tensor& x, std::span<const float> weight, std::span<const float> bias,
                float epsilon, Tensor& y, ThreadPool& pool) {
  assert(static_cast<std::int64_t>(weight.size()) == x.cols());
  assert(bias.empty() || bias.size() == weight.size());
  if (&y != &x) y.resize(x.rows(), x.cols());
  const auto& kernels = cpu::attention_kernels();
  for_row_ranges(x.rows(), x.cols(), pool, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      kernels.layer_norm(x.row(r), weight.data(), bias.empty() ? nullptr : bias.data(), epsilon,
                         y.row(r), static_cast<int>(x.cols()));
    }
  });
}

void layer_norm_columns(Tensor& x, std::int64_t first, std::span<const float> weight,
                        std::span<const float> bias, float epsilon, ThreadPool& pool) {
  const auto cols = static_cast<std::int64_t>(weight.size());
  assert(first >= 0 && first + cols <= x.cols());
  assert(bias.empty() || bias.size() == weight.size());
  const auto& kernels = cpu::attention_kernels();
  for_row_ranges(x.rows(), cols, pool, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      float* columns = x.row(r) + first;
      kernels.layer_norm(columns, weight.data(), bias.empty() ? nullptr : bias.data(), epsilon,
                         columns, static_cast<int>(cols));
    }
  });
}

}  // namespace tessera
