// Element-wise activation functions. GELU is x Phi(x) (arXiv:1606.08415), SiLU x / (1 + e^-x).
#pragma once

#include "compute/parallel.h"
#include "compute/tensor.h"

namespace tessera {

// x = x Phi(x) with the exact normal distribution (erf), in place; error below 1e-7 |x|.
void gelu(Tensor& x, ThreadPool& pool);
// The tanh approximation, which differs by up to 4.7e-4.
void gelu_tanh(Tensor& x, ThreadPool& pool);

// Every element to the nearest of [-limit, limit], in place (clip_qkv of DBRX and MPT). NaN stays.
void clamp(Tensor& x, float limit, ThreadPool& pool);

// y = silu(gate) * up. gate_up: [rows, 2 * cols], gate first; y is resized to [rows, cols].
void silu_mul(const Tensor& gate_up, Tensor& y, ThreadPool& pool);

}  // namespace tessera
