// Attention and row kernels for AVX-512 (F, BW, DQ, VL).
#include <immintrin.h>

#include "compute/cpu/attention_kernels.h"

#define TESSERA_ATTEND_BF16 attend_bf16
#define TESSERA_ATTENTION_KERNELS kAttentionAvx512

namespace tessera::cpu {
namespace {

constexpr int kLanes = 16;

inline __m512 splat(float x) { return _mm512_set1_ps(x); }
inline __m512 multiply_add(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }

inline float widen_f16_one(std::uint16_t half) { return _cvtsh_ss(half); }
inline std::uint16_t narrow_f16_one(float value) {
  return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
}
inline __m512 widen_f16(const std::uint16_t* p) {
  return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline void narrow_f16(__m512 x, std::uint16_t* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_maskz_cvtps_ph(0xffff, x, _MM_FROUND_TO_NEAREST_INT));
}

}  // namespace

#include "compute/cpu/attention.inl"

}  // namespace tessera::cpu
