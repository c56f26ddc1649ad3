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

}  // namespace tessera
