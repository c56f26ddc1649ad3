#include "compute/pooling.h"

#include <algorithm>
#include <cmath>

namespace tessera {
namespace {

template <class F>
void pool_each(const Tensor& x, std::span<const std::int32_t> cu_seqlens, Tensor& y,
               const F& pool_sequence) {
  y.resize(static_cast<std::int64_t>(cu_seqlens.size()) - 1, x.cols());
  for (std::size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    pool_sequence(cu_seqlens[s], cu_seqlens[s + 1], y.row(static_cast<std::int64_t>(s)));
  }
}

}  // namespace

void pool_first(const Tensor& x, std::span<const std::int32_t> cu_seqlens, Tensor& y) {
  pool_each(x, cu_seqlens, y,
            [&](int begin, int, float* out) { std::copy_n(x.row(begin), x.cols(), out); });
}

void pool_last(const Tensor& x, std::span<const std::int32_t> cu_seqlens, Tensor& y) {
  pool_each(x, cu_seqlens, y,
            [&](int, int end, float* out) { std::copy_n(x.row(end - 1), x.cols(), out); });
}

void pool_mean(const Tensor& x, std::span<const std::int32_t> cu_seqlens, Tensor& y) {
  pool_each(x, cu_seqlens, y, [&](int begin, int end, float* out) {
    std::fill_n(out, x.cols(), 0.0f);
    for (int t = begin; t < end; ++t) {
      const float* row = x.row(t);
      for (std::int64_t c = 0; c < x.cols(); ++c) out[c] += row[c];
    }
    const float inverse = 1.0f / static_cast<float>(end - begin);
    for (std::int64_t c = 0; c < x.cols(); ++c) out[c] *= inverse;
  });
}

void l2_normalize(std::span<float> vector) {
  double squares = 0.0;
  for (const float v : vector) squares += static_cast<double>(v) * v;
  const auto inverse = static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12));
  for (float& v : vector) v *= inverse;
}

}  // namespace tessera
