// Normalisation of the rows of a matrix.
#pragma once

#include <cstdint>
#include <span>

#include "compute/parallel.h"
#include "compute/tensor.h"

namespace tessera {

// y = x / sqrt(mean(x^2) + epsilon) * weight (arXiv:1910.07467). x: [rows, cols]; weight: [cols].
// y is resized and may be x.
void rms_norm(const Tensor& x, std::span<const float> weight, float epsilon, Tensor& y,
              ThreadPool& pool);

// y = (x - mean(x)) / sqrt(var(x) + epsilon) * weight + bias with the population variance
// (arXiv:1607.06450). bias: [cols] or empty. y is resized and may be x.
void layer_norm(const Tensor& x, std::span<const float> weight, std::span<const float> bias,
                float epsilon, Tensor& y, ThreadPool& pool);

// layer_norm of columns [first, first + weight.size()) of every row, in place (qk_ln of MPT).
void layer_norm_columns(Tensor& x, std::int64_t first, std::span<const float> weight,
                        std::span<const float> bias, float epsilon, ThreadPool& pool);

}  // namespace tessera
