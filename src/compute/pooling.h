// From the hidden states of a sequence to one vector.
#pragma once

#include <cstdint>
#include <span>

#include "compute/tensor.h"

namespace tessera {

// x: [tokens, cols], sequences at cu_seqlens (none empty); y is resized to [sequences, cols].
void pool_first(const Tensor& x, std::span<const std::int32_t> cu_seqlens, Tensor& y);
void pool_last(const Tensor& x, std::span<const std::int32_t> cu_seqlens, Tensor& y);
void pool_mean(const Tensor& x, std::span<const std::int32_t> cu_seqlens, Tensor& y);

// Divides by the Euclidean norm, which is taken to be at least 1e-12, as torch does.
void l2_normalize(std::span<float> vector);

}  // namespace tessera
