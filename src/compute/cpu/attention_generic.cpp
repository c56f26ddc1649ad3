// Attention and row kernels for any machine (SSE2 on x86-64, NEON on AArch64).
#include "compute/cpu/attention_kernels.h"
#include "compute/quantize.h"

#define TESSERA_ATTEND_BF16 nullptr
#define TESSERA_ATTENTION_KERNELS kAttentionGeneric

namespace tessera::cpu {
namespace {

constexpr int kLanes = 4;

typedef float Float4 __attribute__((vector_size(16)));

inline Float4 splat(float x) { return Float4{x, x, x, x}; }
inline Float4 multiply_add(Float4 a, Float4 b, Float4 c) { return a * b + c; }

inline float widen_f16_one(std::uint16_t half) { return f16_to_f32(half); }
inline std::uint16_t narrow_f16_one(float value) { return f32_to_f16(value); }
inline Float4 widen_f16(const std::uint16_t* p) {
  return Float4{f16_to_f32(p[0]), f16_to_f32(p[1]), f16_to_f32(p[2]), f16_to_f32(p[3])};
}
inline void narrow_f16(Float4 x, std::uint16_t* to) {
  for (int i = 0; i < 4; ++i) to[i] = f32_to_f16(x[i]);
}

}  // namespace

#include "compute/cpu/attention.inl"

}  // namespace tessera::cpu
