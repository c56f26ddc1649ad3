// The few loops of sampling that touch the whole vocabulary, written for SIMD.
//
// Each is one streaming pass; everything else works on the handful of candidates they leave.
#pragma once

#include <cstdint>

namespace tessera {

inline constexpr int kMaxBlock = 64;    // logits per entry of block_maxima
inline constexpr int kSumBlock = 1024;  // logits per entry of exp_block_sums

struct RowMaximum {
  float value;   // -inf for an empty row; NaN entries are skipped
  bool has_nan;  // any entry is NaN
};

// out: [(n + 63) / 64] maxima of consecutive blocks.
RowMaximum block_maxima(const float* logits, int n, float* out);

// sums: [(n + 1023) / 1024], sums[b] = sum over block b of exp((logits[i] - max) * scale), where
// max >= every logit and scale > 0. Returns the total. Relative error of each term < 3e-7.
double exp_block_sums(const float* logits, int n, float max, float scale, double* sums);

// out[i] = exp((logits[i] - max) * scale), by the same arithmetic as exp_block_sums.
void exp_scaled(const float* logits, int n, float max, float scale, float* out);

}  // namespace tessera
