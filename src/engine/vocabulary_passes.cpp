#include "engine/vocabulary_passes.h"

#include <algorithm>
#include <cstring>
#include <limits>

// One body, compiled for several instruction sets and chosen when the program starts. Sanitizers
// cannot instrument the resolvers that run before their own start-up.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define TESSERA_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TESSERA_CLONES
#endif
#define TESSERA_INLINE __attribute__((always_inline)) inline

namespace tessera {
namespace {

constexpr int kLanes = 16;
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::int32_t Ints __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

TESSERA_INLINE void load(const float* p, Floats& v) { std::memcpy(&v, p, sizeof v); }

// x = e^x for x <= 0: 2^i e^r with |r| <= ln2/2 and the Taylor series of e^r to degree 6
// (remainder (ln2/2)^7/7! = 1.2e-7). Below -87 the result, which would be denormal, is 0.
TESSERA_INLINE void exp_negative(Floats& x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Ints in_range = x > -87.0f;
  const Floats zero = {};
  const Floats clipped = in_range ? x : zero;
  const Floats i = (clipped * 1.44269504f + kRound) - kRound;
  // ln2 in two parts keeps r exact where clipped * log2(e) has lost low bits (Cody and Waite).
  const Floats r = (clipped - i * 0.693359375f) + i * 2.12194440e-4f;
  Floats p = r * (1.0f / 720) + (1.0f / 120);
  p = p * r + (1.0f / 24);
  p = p * r + (1.0f / 6);
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Ints power = (__builtin_convertvector(i, Ints) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &power, sizeof scale);
  x = in_range ? p * scale : zero;
}

TESSERA_INLINE void exp_of_up_to_16(const float* logits, int n, float max, float scale,
                                    Floats& out) {
  float padded[kLanes];
  std::fill(padded, padded + kLanes, -std::numeric_limits<float>::infinity());
  std::memcpy(padded, logits, static_cast<std::size_t>(n) * sizeof(float));
  load(padded, out);
  out = (out - max) * scale;
  exp_negative(out);
}

}  // namespace

TESSERA_CLONES
RowMaximum block_maxima(const float* logits, int n, float* out) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  RowMaximum row{kLowest, false};
  Ints nan = {};
  int i = 0;
  for (; i + kMaxBlock <= n; i += kMaxBlock) {
    Floats best = Floats{} + kLowest;
    for (int j = 0; j < kMaxBlock; j += kLanes) {
      Floats v;
      load(logits + i + j, v);
      nan |= (v != v);
      best = v > best ? v : best;
    }
    float block = kLowest;
    for (int j = 0; j < kLanes; ++j) block = best[j] > block ? best[j] : block;
    out[i / kMaxBlock] = block;
    row.value = std::max(row.value, block);
  }
  for (int j = 0; j < kLanes; ++j) row.has_nan |= nan[j] != 0;
  if (i < n) {
    float block = kLowest;
    for (int j = i; j < n; ++j) {
      row.has_nan |= logits[j] != logits[j];
      block = logits[j] > block ? logits[j] : block;
    }
    out[i / kMaxBlock] = block;
    row.value = std::max(row.value, block);
  }
  return row;
}

TESSERA_CLONES
double exp_block_sums(const float* logits, int n, float max, float scale, double* sums) {
  double total = 0;
  for (int begin = 0; begin < n; begin += kSumBlock) {
    const int end = std::min(n, begin + kSumBlock);
    Floats acc = {};
    int i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      Floats v;
      load(logits + i, v);
      v = (v - max) * scale;
      exp_negative(v);
      acc += v;
    }
    if (i < end) {
      Floats v;
      exp_of_up_to_16(logits + i, end - i, max, scale, v);
      acc += v;
    }
    double sum = 0;
    for (int j = 0; j < kLanes; ++j) sum += acc[j];
    sums[begin / kSumBlock] = sum;
    total += sum;
  }
  return total;
}

TESSERA_CLONES
void exp_scaled(const float* logits, int n, float max, float scale, float* out) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Floats v;
    load(logits + i, v);
    v = (v - max) * scale;
    exp_negative(v);
    std::memcpy(out + i, &v, sizeof v);
  }
  if (i < n) {
    Floats v;
    exp_of_up_to_16(logits + i, n - i, max, scale, v);
    std::memcpy(out + i, &v, static_cast<std::size_t>(n - i) * sizeof(float));
  }
}

}  // namespace tessera
