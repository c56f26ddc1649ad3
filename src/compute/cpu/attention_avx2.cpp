// Attention and row kernels for AVX2 with FMA and F16C.
#include <immintrin.h>

#include "compute/cpu/attention_kernels.h"

#define TESSERA_ATTEND_BF16 nullptr
#define TESSERA_ATTENTION_KERNELS kAttentionAvx2

namespace tessera::cpu {
namespace {

constexpr int kLanes = 8;

inline __m256 splat(float x) { return _mm256_set1_ps(x); }
inline __m256 multiply_add(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }

inline float widen_f16_one(std::uint16_t half) { return _cvtsh_ss(half); }
inline std::uint16_t narrow_f16_one(float value) {
  return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
}
inline __m256 widen_f16(const std::uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline void narrow_f16(__m256 x, std::uint16_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

}  // namespace

#include "compute/cpu/attention.inl"

}  // namespace tessera::cpu
