// Sixteen lanes of float or int32 on every instruction set, so that a kernel body is written once.
//
// Included by cpu/isa_*.cpp only: everything here has internal linkage, because the same name means
// other instructions in another file. AVX-512: one register; AVX2: two; else GCC vector extensions,
// which become SSE2 or NEON.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define TESSERA_INLINE [[gnu::always_inline]] inline

namespace tessera {
namespace {

constexpr int kLanes = 16;

#if defined(__AVX512F__)

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};
struct U8x64 {
  __m512i v;
};

TESSERA_INLINE F32x16 zero_f32() { return {_mm512_setzero_ps()}; }
TESSERA_INLINE F32x16 set_f32(float x) { return {_mm512_set1_ps(x)}; }
TESSERA_INLINE F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
TESSERA_INLINE void store(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
TESSERA_INLINE __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }
TESSERA_INLINE F32x16 load_n(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
TESSERA_INLINE void store_n(float* p, F32x16 a, int n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a.v);
}
TESSERA_INLINE F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
TESSERA_INLINE F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
TESSERA_INLINE F32x16 operator*(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
TESSERA_INLINE F32x16 operator/(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
TESSERA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {  // a * b + c
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
TESSERA_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
TESSERA_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
TESSERA_INLINE I32x16 set_i32(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
TESSERA_INLINE I32x16 load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
TESSERA_INLINE void store(std::int32_t* p, I32x16 a) { _mm512_storeu_si512(p, a.v); }
TESSERA_INLINE I32x16 operator+(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
TESSERA_INLINE I32x16 operator-(I32x16 a, I32x16 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
TESSERA_INLINE I32x16 operator&(I32x16 a, I32x16 b) { return {_mm512_and_si512(a.v, b.v)}; }
TESSERA_INLINE I32x16 operator|(I32x16 a, I32x16 b) { return {_mm512_or_si512(a.v, b.v)}; }
template <int kBits>
TESSERA_INLINE I32x16 shift_left(I32x16 a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
template <int kBits>
TESSERA_INLINE I32x16 shift_right(I32x16 a) {  // logical
  return {_mm512_srli_epi32(a.v, kBits)};
}
TESSERA_INLINE F32x16 to_f32(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
TESSERA_INLINE I32x16 to_i32(F32x16 a) { return {_mm512_cvtps_epi32(a.v)}; }  // nearest even
TESSERA_INLINE F32x16 as_f32(I32x16 a) { return {_mm512_castsi512_ps(a.v)}; }
TESSERA_INLINE I32x16 as_i32(F32x16 a) { return {_mm512_castps_si512(a.v)}; }
// Lanes of a where b < c, else of otherwise.
TESSERA_INLINE F32x16 select_lt(F32x16 b, F32x16 c, F32x16 a, F32x16 otherwise) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(b.v, c.v, _CMP_LT_OQ), otherwise.v, a.v)};
}
TESSERA_INLINE F32x16 load_f16(const std::uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
TESSERA_INLINE F32x16 load_bf16(const std::uint16_t* p) {
  const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16))};
}
TESSERA_INLINE void store_u16(std::uint16_t* p, I32x16 a) {  // low halves
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}
TESSERA_INLINE void store_i8(std::int8_t* p, I32x16 a) {  // low bytes
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
TESSERA_INLINE F32x16 sqrt(F32x16 a) { return {_mm512_sqrt_ps(a.v)}; }

// Integer dot products of quads of bytes: w holds four consecutive k of sixteen rows, a the four
// activations, broadcast. w <= 127 in dot_u7; biased by +128 in dot_i8, whose accumulator then has
// to start at -128 * (sum of the activations) where kBiasInStart says so.
constexpr bool kBiasInStart = true;
TESSERA_INLINE U8x64 load_u8(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
TESSERA_INLINE U8x64 low_nibbles(U8x64 a) {
  return {_mm512_and_si512(a.v, _mm512_set1_epi8(0x0f))};
}
TESSERA_INLINE U8x64 high_nibbles(U8x64 a) {
  return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(0x0f))};
}
TESSERA_INLINE I32x16 load_i8_widened(const std::int8_t* p) {
  return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
TESSERA_INLINE I32x16 load_u8_widened(const std::uint8_t* p) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
// a | (b moved so that bit kFrom of each byte becomes bit kTo, & kMask)
template <int kFrom, int kTo, int kMask>
TESSERA_INLINE U8x64 or_bits(U8x64 a, U8x64 b) {
  const __m512i moved = kFrom > kTo   ? _mm512_srli_epi16(b.v, kFrom > kTo ? kFrom - kTo : 0)
                        : kFrom < kTo ? _mm512_slli_epi16(b.v, kFrom < kTo ? kTo - kFrom : 0)
                                      : b.v;
  return {_mm512_ternarylogic_epi32(a.v, moved, _mm512_set1_epi8(kMask), 0xf8)};  // a | (b & c)
}
using Quad = U8x64;
TESSERA_INLINE Quad broadcast_quad(const void* p) {
  std::int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return {_mm512_set1_epi32(quad)};
}
TESSERA_INLINE I32x16 dot_u7(I32x16 acc, U8x64 w, Quad a) {
  return {_mm512_dpbusd_epi32(acc.v, w.v, a.v)};
}
TESSERA_INLINE I32x16 dot_i8(I32x16 acc, U8x64 w, Quad a) { return dot_u7(acc, w, a); }

// acc + w0 * a0 + w1 * a1 for pairs of bf16, in the order of VDPBF16PS.
TESSERA_INLINE F32x16 dot_bf16(F32x16 acc, U8x64 w, Quad a) {
  return {_mm512_dpbf16_ps(acc.v, (__m512bh)w.v, (__m512bh)a.v)};
}

#elif defined(__AVX2__)

struct F32x16 {
  __m256 lo, hi;
};
struct I32x16 {
  __m256i lo, hi;
};
struct U8x64 {
  __m256i lo, hi;
};

TESSERA_INLINE __m256i load_256(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
TESSERA_INLINE F32x16 zero_f32() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
TESSERA_INLINE F32x16 set_f32(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
TESSERA_INLINE F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
TESSERA_INLINE void store(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
TESSERA_INLINE __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
TESSERA_INLINE F32x16 load_n(const float* p, int n) {
  return {_mm256_maskload_ps(p, first_lanes(n)), _mm256_maskload_ps(p + 8, first_lanes(n - 8))};
}
TESSERA_INLINE void store_n(float* p, F32x16 a, int n) {
  _mm256_maskstore_ps(p, first_lanes(n), a.lo);
  _mm256_maskstore_ps(p + 8, first_lanes(n - 8), a.hi);
}
TESSERA_INLINE F32x16 operator+(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
TESSERA_INLINE F32x16 operator-(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
TESSERA_INLINE F32x16 operator*(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
TESSERA_INLINE F32x16 operator/(F32x16 a, F32x16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
TESSERA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
TESSERA_INLINE F32x16 max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
TESSERA_INLINE F32x16 min(F32x16 a, F32x16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
TESSERA_INLINE I32x16 set_i32(std::int32_t x) {
  return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
TESSERA_INLINE I32x16 load(const std::int32_t* p) { return {load_256(p), load_256(p + 8)}; }
TESSERA_INLINE void store(std::int32_t* p, I32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.hi);
}
TESSERA_INLINE I32x16 operator+(I32x16 a, I32x16 b) {
  return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
TESSERA_INLINE I32x16 operator-(I32x16 a, I32x16 b) {
  return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)};
}
TESSERA_INLINE I32x16 operator&(I32x16 a, I32x16 b) {
  return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
TESSERA_INLINE I32x16 operator|(I32x16 a, I32x16 b) {
  return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
template <int kBits>
TESSERA_INLINE I32x16 shift_left(I32x16 a) {
  return {_mm256_slli_epi32(a.lo, kBits), _mm256_slli_epi32(a.hi, kBits)};
}
template <int kBits>
TESSERA_INLINE I32x16 shift_right(I32x16 a) {
  return {_mm256_srli_epi32(a.lo, kBits), _mm256_srli_epi32(a.hi, kBits)};
}
TESSERA_INLINE F32x16 to_f32(I32x16 a) {
  return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}
TESSERA_INLINE I32x16 to_i32(F32x16 a) {
  return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)};
}
TESSERA_INLINE F32x16 as_f32(I32x16 a) {
  return {_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)};
}
TESSERA_INLINE I32x16 as_i32(F32x16 a) {
  return {_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)};
}
TESSERA_INLINE F32x16 select_lt(F32x16 b, F32x16 c, F32x16 a, F32x16 otherwise) {
  return {_mm256_blendv_ps(otherwise.lo, a.lo, _mm256_cmp_ps(b.lo, c.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(otherwise.hi, a.hi, _mm256_cmp_ps(b.hi, c.hi, _CMP_LT_OQ))};
}
TESSERA_INLINE F32x16 load_f16(const std::uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
TESSERA_INLINE F32x16 load_bf16(const std::uint16_t* p) {
  const __m256i raw = load_256(p);
  const auto widen = [](__m128i half) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  };
  return {widen(_mm256_castsi256_si128(raw)), widen(_mm256_extracti128_si256(raw, 1))};
}
TESSERA_INLINE void store_u16(std::uint16_t* p, I32x16 a) {
  const __m256i mask = _mm256_set1_epi32(0xffff);
  const __m256i packed =
      _mm256_packus_epi32(_mm256_and_si256(a.lo, mask), _mm256_and_si256(a.hi, mask));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}
TESSERA_INLINE void store_i8(std::int8_t* p, I32x16 a) {  // lanes must lie in [-128, 127]
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.lo, a.hi), 0xd8);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(p),
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
TESSERA_INLINE F32x16 sqrt(F32x16 a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }

constexpr bool kBiasInStart = false;
TESSERA_INLINE U8x64 load_u8(const std::uint8_t* p) { return {load_256(p), load_256(p + 32)}; }
TESSERA_INLINE U8x64 low_nibbles(U8x64 a) {
  const __m256i mask = _mm256_set1_epi8(0x0f);
  return {_mm256_and_si256(a.lo, mask), _mm256_and_si256(a.hi, mask)};
}
TESSERA_INLINE U8x64 high_nibbles(U8x64 a) {
  const __m256i mask = _mm256_set1_epi8(0x0f);
  return {_mm256_and_si256(_mm256_srli_epi16(a.lo, 4), mask),
          _mm256_and_si256(_mm256_srli_epi16(a.hi, 4), mask)};
}
TESSERA_INLINE __m128i load_128(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
TESSERA_INLINE I32x16 load_i8_widened(const std::int8_t* p) {
  const __m128i bytes = load_128(p);
  return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
}
TESSERA_INLINE I32x16 load_u8_widened(const std::uint8_t* p) {
  const __m128i bytes = load_128(p);
  return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
// a | (b moved so that bit kFrom of each byte becomes bit kTo, & kMask)
template <int kFrom, int kTo, int kMask>
TESSERA_INLINE U8x64 or_bits(U8x64 a, U8x64 b) {
  const auto merge = [](__m256i x, __m256i y) {
    const __m256i moved = kFrom > kTo   ? _mm256_srli_epi16(y, kFrom > kTo ? kFrom - kTo : 0)
                          : kFrom < kTo ? _mm256_slli_epi16(y, kFrom < kTo ? kTo - kFrom : 0)
                                        : y;
    return _mm256_or_si256(x, _mm256_and_si256(moved, _mm256_set1_epi8(kMask)));
  };
  return {merge(a.lo, b.lo), merge(a.hi, b.hi)};
}
struct Quad {
  __m256i v;
};
TESSERA_INLINE Quad broadcast_quad(const void* p) {
  std::int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return {_mm256_set1_epi32(quad)};
}
// VPMADDUBSW saturates at 16 bits: 2 * 127 * 127 fits.
TESSERA_INLINE I32x16 dot_u7(I32x16 acc, U8x64 w, Quad a) {
  const __m256i ones = _mm256_set1_epi16(1);
  const auto dot = [&](__m256i sum, __m256i x) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, a.v), ones));
  };
  return {dot(acc.lo, w.lo), dot(acc.hi, w.hi)};
}
// |w| * sign(a, w) with w signed: 2 * 128 * 127 fits, since activations lie in [-127, 127].
TESSERA_INLINE I32x16 dot_i8(I32x16 acc, U8x64 w, Quad a) {
  const __m256i ones = _mm256_set1_epi16(1);
  const auto dot = [&](__m256i sum, __m256i x) {
    const __m256i q = _mm256_xor_si256(x, _mm256_set1_epi8(-128));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(a.v, q));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
  };
  return {dot(acc.lo, w.lo), dot(acc.hi, w.hi)};
}

#else

typedef float VecF32 __attribute__((vector_size(64)));
typedef std::int32_t VecI32 __attribute__((vector_size(64)));
typedef std::uint32_t VecU32 __attribute__((vector_size(64)));

struct F32x16 {
  VecF32 v;
};
struct I32x16 {
  VecI32 v;
};
struct U8x64 {  // bytes in memory order; a quad of bytes is one lane on little-endian machines
  VecU32 v;
};

template <class T>
TESSERA_INLINE T load_bytes(const void* p) {
  T value;
  __builtin_memcpy(&value, p, sizeof(T));
  return value;
}
TESSERA_INLINE F32x16 zero_f32() { return {VecF32{}}; }
TESSERA_INLINE F32x16 set_f32(float x) { return {VecF32{} + x}; }
TESSERA_INLINE F32x16 load(const float* p) { return {load_bytes<VecF32>(p)}; }
TESSERA_INLINE void store(float* p, F32x16 a) { __builtin_memcpy(p, &a.v, 64); }
TESSERA_INLINE F32x16 load_n(const float* p, int n) {
  VecF32 v{};
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) v[i] = p[i];
  }
  return {v};
}
TESSERA_INLINE void store_n(float* p, F32x16 a, int n) {
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) p[i] = a.v[i];
  }
}
TESSERA_INLINE F32x16 operator+(F32x16 a, F32x16 b) { return {a.v + b.v}; }
TESSERA_INLINE F32x16 operator-(F32x16 a, F32x16 b) { return {a.v - b.v}; }
TESSERA_INLINE F32x16 operator*(F32x16 a, F32x16 b) { return {a.v * b.v}; }
TESSERA_INLINE F32x16 operator/(F32x16 a, F32x16 b) { return {a.v / b.v}; }
TESSERA_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {a.v * b.v + c.v}; }
TESSERA_INLINE F32x16 max(F32x16 a, F32x16 b) { return {a.v > b.v ? a.v : b.v}; }
TESSERA_INLINE F32x16 min(F32x16 a, F32x16 b) { return {a.v < b.v ? a.v : b.v}; }
TESSERA_INLINE I32x16 set_i32(std::int32_t x) { return {VecI32{} + x}; }
TESSERA_INLINE I32x16 load(const std::int32_t* p) { return {load_bytes<VecI32>(p)}; }
TESSERA_INLINE void store(std::int32_t* p, I32x16 a) { __builtin_memcpy(p, &a.v, 64); }
TESSERA_INLINE I32x16 operator+(I32x16 a, I32x16 b) {
  return {(VecI32)((VecU32)a.v + (VecU32)b.v)};
}
TESSERA_INLINE I32x16 operator-(I32x16 a, I32x16 b) {
  return {(VecI32)((VecU32)a.v - (VecU32)b.v)};
}
TESSERA_INLINE I32x16 operator&(I32x16 a, I32x16 b) { return {a.v & b.v}; }
TESSERA_INLINE I32x16 operator|(I32x16 a, I32x16 b) { return {a.v | b.v}; }
template <int kBits>
TESSERA_INLINE I32x16 shift_left(I32x16 a) {
  return {(VecI32)((VecU32)a.v << kBits)};
}
template <int kBits>
TESSERA_INLINE I32x16 shift_right(I32x16 a) {
  return {(VecI32)((VecU32)a.v >> kBits)};
}
TESSERA_INLINE F32x16 to_f32(I32x16 a) { return {__builtin_convertvector(a.v, VecF32)}; }
// Adding 1.5 * 2^23 rounds to nearest even and leaves the integer in the low bits; |a| < 2^22.
TESSERA_INLINE I32x16 to_i32(F32x16 a) {
  return {(VecI32)((VecU32)(a.v + 12582912.0f) - 0x4b400000u)};
}
TESSERA_INLINE F32x16 as_f32(I32x16 a) { return {(VecF32)a.v}; }
TESSERA_INLINE I32x16 as_i32(F32x16 a) { return {(VecI32)a.v}; }
TESSERA_INLINE F32x16 select_lt(F32x16 b, F32x16 c, F32x16 a, F32x16 otherwise) {
  return {b.v < c.v ? a.v : otherwise.v};
}
TESSERA_INLINE float half_to_float(std::uint16_t bits) {
  // Exponent moved by multiplication with 2^112, which also normalises subnormals; infinities and
  // NaN are the only values that land at 2^16 and above.
  const std::uint32_t magnitude = (bits & 0x7fffu) << 13;
  float value;
  __builtin_memcpy(&value, &magnitude, 4);
  value *= 0x1p112f;
  std::uint32_t out;
  __builtin_memcpy(&out, &value, 4);
  if (value >= 65536.0f) out |= 0x7f800000u;
  out |= (bits & 0x8000u) << 16;
  __builtin_memcpy(&value, &out, 4);
  return value;
}
TESSERA_INLINE F32x16 load_f16(const std::uint16_t* p) {
  VecF32 v;
  for (int i = 0; i < kLanes; ++i) v[i] = half_to_float(p[i]);
  return {v};
}
TESSERA_INLINE F32x16 load_bf16(const std::uint16_t* p) {
  VecU32 v;
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<std::uint32_t>(p[i]) << 16;
  return {(VecF32)v};
}
TESSERA_INLINE void store_u16(std::uint16_t* p, I32x16 a) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<std::uint16_t>(a.v[i]);
}
TESSERA_INLINE void store_i8(std::int8_t* p, I32x16 a) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<std::int8_t>(a.v[i]);
}
TESSERA_INLINE F32x16 sqrt(F32x16 a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}

constexpr bool kBiasInStart = true;
TESSERA_INLINE U8x64 load_u8(const std::uint8_t* p) { return {load_bytes<VecU32>(p)}; }
TESSERA_INLINE U8x64 low_nibbles(U8x64 a) { return {a.v & 0x0f0f0f0fu}; }
TESSERA_INLINE U8x64 high_nibbles(U8x64 a) { return {(a.v >> 4) & 0x0f0f0f0fu}; }
TESSERA_INLINE I32x16 load_i8_widened(const std::int8_t* p) {
  VecI32 v;
  for (int i = 0; i < kLanes; ++i) v[i] = p[i];
  return {v};
}
TESSERA_INLINE I32x16 load_u8_widened(const std::uint8_t* p) {
  VecI32 v;
  for (int i = 0; i < kLanes; ++i) v[i] = p[i];
  return {v};
}
// a | (b moved so that bit kFrom of each byte becomes bit kTo, & kMask)
template <int kFrom, int kTo, int kMask>
TESSERA_INLINE U8x64 or_bits(U8x64 a, U8x64 b) {
  const VecU32 moved =
      kFrom > kTo ? b.v >> (kFrom > kTo ? kFrom - kTo : 0) : b.v << (kFrom < kTo ? kTo - kFrom : 0);
  return {a.v | (moved & (kMask * 0x01010101u))};
}
struct Quad {
  std::uint32_t a[4];
};
TESSERA_INLINE Quad broadcast_quad(const void* p) {
  const auto* a = static_cast<const std::int8_t*>(p);
  return {{static_cast<std::uint32_t>(a[0]), static_cast<std::uint32_t>(a[1]),
           static_cast<std::uint32_t>(a[2]), static_cast<std::uint32_t>(a[3])}};
}
TESSERA_INLINE I32x16 dot_u7(I32x16 acc, U8x64 w, Quad a) {
  return {(VecI32)((VecU32)acc.v + (w.v & 255u) * a.a[0] + ((w.v >> 8) & 255u) * a.a[1] +
                   ((w.v >> 16) & 255u) * a.a[2] + (w.v >> 24) * a.a[3])};
}
TESSERA_INLINE I32x16 dot_i8(I32x16 acc, U8x64 w, Quad a) { return dot_u7(acc, w, a); }

#endif

// The rest is built from the above and means the same everywhere.

TESSERA_INLINE F32x16 abs(F32x16 a) { return as_f32(as_i32(a) & set_i32(0x7fffffff)); }

// Lanes combined pairwise in one fixed tree: i with i + 8, then + 4, + 2, + 1.
#if defined(__AVX2__)
#if defined(__AVX512F__)
TESSERA_INLINE __m256 low_half(F32x16 a) { return _mm512_castps512_ps256(a.v); }
TESSERA_INLINE __m256 high_half(F32x16 a) { return _mm512_extractf32x8_ps(a.v, 1); }
TESSERA_INLINE __m256i low_half(I32x16 a) { return _mm512_castsi512_si256(a.v); }
TESSERA_INLINE __m256i high_half(I32x16 a) { return _mm512_extracti32x8_epi32(a.v, 1); }
#else
TESSERA_INLINE __m256 low_half(F32x16 a) { return a.lo; }
TESSERA_INLINE __m256 high_half(F32x16 a) { return a.hi; }
TESSERA_INLINE __m256i low_half(I32x16 a) { return a.lo; }
TESSERA_INLINE __m256i high_half(I32x16 a) { return a.hi; }
#endif
TESSERA_INLINE float reduce_add(F32x16 a) {
  const __m256 x8 = _mm256_add_ps(low_half(a), high_half(a));
  const __m128 x4 = _mm_add_ps(_mm256_castps256_ps128(x8), _mm256_extractf128_ps(x8, 1));
  const __m128 x2 = _mm_add_ps(x4, _mm_movehl_ps(x4, x4));
  return _mm_cvtss_f32(_mm_add_ss(x2, _mm_movehdup_ps(x2)));
}
TESSERA_INLINE float reduce_max(F32x16 a) {
  const __m256 x8 = _mm256_max_ps(low_half(a), high_half(a));
  const __m128 x4 = _mm_max_ps(_mm256_castps256_ps128(x8), _mm256_extractf128_ps(x8, 1));
  const __m128 x2 = _mm_max_ps(x4, _mm_movehl_ps(x4, x4));
  return _mm_cvtss_f32(_mm_max_ss(x2, _mm_movehdup_ps(x2)));
}
TESSERA_INLINE std::int32_t reduce_add(I32x16 a) {
  const __m256i x8 = _mm256_add_epi32(low_half(a), high_half(a));
  const __m128i x4 = _mm_add_epi32(_mm256_castsi256_si128(x8), _mm256_extracti128_si256(x8, 1));
  const __m128i x2 = _mm_add_epi32(x4, _mm_shuffle_epi32(x4, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(x2, _mm_shuffle_epi32(x2, 0xb1)));
}
#else
TESSERA_INLINE float reduce_add(F32x16 a) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) a.v[i] += a.v[i + width];
  }
  return a.v[0];
}
TESSERA_INLINE float reduce_max(F32x16 a) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) a.v[i] = a.v[i] > a.v[i + width] ? a.v[i] : a.v[i + width];
  }
  return a.v[0];
}
TESSERA_INLINE std::int32_t reduce_add(I32x16 a) {
  std::int32_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += a.v[i];
  return sum;
}
#endif

// Round to nearest even; NaN stays NaN.
TESSERA_INLINE I32x16 bf16_bits(F32x16 a) {
  const I32x16 bits = as_i32(a);
  const I32x16 odd = shift_right<16>(bits) & set_i32(1);
  const I32x16 rounded = shift_right<16>(bits + set_i32(0x7fff) + odd);
  const I32x16 quiet = shift_right<16>(bits) | set_i32(0x40);
  // Infinity is the largest magnitude that is not NaN; !(|a| < NaN) selects the second operand.
  const F32x16 magnitude = abs(a);
  return as_i32(select_lt(magnitude, as_f32(set_i32(0x7f800000)), as_f32(rounded),
                          select_lt(set_f32(0), magnitude, as_f32(rounded), as_f32(quiet))));
}
TESSERA_INLINE void store_bf16(std::uint16_t* p, F32x16 a) { store_u16(p, bf16_bits(a)); }

// e^x, relative error below 2e-7; 0 under -87.3 is 1.2e-38, above 88.3 it stays at e^88.3.
TESSERA_INLINE F32x16 exp(F32x16 x) {
  x = min(max(x, set_f32(-87.33f)), set_f32(88.3f));
  const I32x16 n = to_i32(x * set_f32(1.44269504088896f));
  const F32x16 nf = to_f32(n);
  F32x16 r = fma(nf, set_f32(-0.693359375f), x);  // ln 2 in two parts
  r = fma(nf, set_f32(2.12194440e-4f), r);
  F32x16 p = set_f32(1.9875691500e-4f);  // Cephes expf
  p = fma(p, r, set_f32(1.3981999507e-3f));
  p = fma(p, r, set_f32(8.3334519073e-3f));
  p = fma(p, r, set_f32(4.1665795894e-2f));
  p = fma(p, r, set_f32(1.6666665459e-1f));
  p = fma(p, r, set_f32(5.0000001201e-1f));
  p = fma(p, r * r, r + set_f32(1.0f));
  return p * as_f32(shift_left<23>(n + set_i32(127)));
}

TESSERA_INLINE F32x16 silu(F32x16 x) { return x / (set_f32(1.0f) + exp(zero_f32() - x)); }
TESSERA_INLINE F32x16 tanh(F32x16 x) {
  const F32x16 e = exp(abs(x) * set_f32(-2.0f));
  const F32x16 t = (set_f32(1.0f) - e) / (set_f32(1.0f) + e);
  return select_lt(x, zero_f32(), zero_f32() - t, t);
}
// Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7.
TESSERA_INLINE F32x16 erf(F32x16 x) {
  const F32x16 ax = abs(x);
  const F32x16 t = set_f32(1.0f) / fma(ax, set_f32(0.3275911f), set_f32(1.0f));
  F32x16 p = set_f32(1.061405429f);
  p = fma(p, t, set_f32(-1.453152027f));
  p = fma(p, t, set_f32(1.421413741f));
  p = fma(p, t, set_f32(-0.284496736f));
  p = fma(p, t, set_f32(0.254829592f));
  const F32x16 y = set_f32(1.0f) - p * t * exp(zero_f32() - ax * ax);
  return select_lt(x, zero_f32(), zero_f32() - y, y);
}
TESSERA_INLINE F32x16 gelu(F32x16 x) {
  return set_f32(0.5f) * x * (set_f32(1.0f) + erf(x * set_f32(0.70710678118654752f)));
}

}  // namespace
}  // namespace tessera
