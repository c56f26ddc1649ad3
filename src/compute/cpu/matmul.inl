// Tiles of float panels: 16 output rows by T rows of activations, accumulated one input (one pair
// for bf16) after the other, so a row of activations gets the same sums in every tile.

namespace tessera {
namespace {

// AVX-512 holds a whole block of rows in registers; with sixteen registers two rows fit.
#if defined(__AVX512F__)
constexpr int kRegisterTokens = kTileTokens;
#else
constexpr int kRegisterTokens = 2;
#endif

// The rows of one block of activations from `first` on. `stride` is the number of rows in the
// block; it equals T when T spans the block, which lets the compiler fold every address.
struct BlockView {
  const void* values;
  const float* scale;
  const float* scaled_sum;
  const std::int32_t* start_u4;
  const std::int32_t* start_i8;
  const std::int32_t* start_low;
  int groups;
};

template <int T>
TESSERA_INLINE void store_tile(const F32x16 (&acc)[T], float* out) {
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) store(out + t * kPanelRows, acc[t]);
}

template <int T>
void tile_f32(const std::byte* panel, const BlockView& x, int stride, float* out) {
  F32x16 acc[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) acc[t] = zero_f32();
  const auto* w = reinterpret_cast<const float*>(panel);
  const auto* a = static_cast<const float*>(x.values);
  for (int g = 0; g < x.groups; ++g, a += stride * kGroup) {
#pragma GCC unroll 4
    for (int k = 0; k < kGroup; ++k, w += kPanelRows) {
      const F32x16 weights = load(w);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) acc[t] = fma(weights, set_f32(a[t * kGroup + k]), acc[t]);
    }
  }
  store_tile<T>(acc, out);
}

template <int T>
void tile_f16(const std::byte* panel, const BlockView& x, int stride, float* out) {
  F32x16 acc[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) acc[t] = zero_f32();
  const auto* w = reinterpret_cast<const std::uint16_t*>(panel);
  const auto* a = static_cast<const float*>(x.values);
  for (int g = 0; g < x.groups; ++g, a += stride * kGroup) {
#pragma GCC unroll 4
    for (int k = 0; k < kGroup; ++k, w += kPanelRows) {
      const F32x16 weights = load_f16(w);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) acc[t] = fma(weights, set_f32(a[t * kGroup + k]), acc[t]);
    }
  }
  store_tile<T>(acc, out);
}

template <int T>
void tile_bf16(const std::byte* panel, const BlockView& x, int stride, float* out) {
  F32x16 acc[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) acc[t] = zero_f32();
  const auto* w = reinterpret_cast<const std::uint8_t*>(panel);
#if defined(__AVX512BF16__)
  const auto* a = static_cast<const std::uint16_t*>(x.values);
#else
  const auto* a = static_cast<const float*>(x.values);
#endif
  for (int g = 0; g < x.groups; ++g, a += stride * kGroup) {
#pragma GCC unroll 4
    for (int k = 0; k < kGroup; k += 2, w += 64) {
#if defined(__AVX512BF16__)
      const U8x64 pairs = load_u8(w);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) acc[t] = dot_bf16(acc[t], pairs, a + t * kGroup + k);
#else
      // Pairs of bf16 in dwords: the even input is the low half.
      const I32x16 pairs = load(reinterpret_cast<const std::int32_t*>(w));
      const F32x16 even = as_f32(shift_left<16>(pairs));
      const F32x16 odd = as_f32(pairs & set_i32(static_cast<std::int32_t>(0xffff0000u)));
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        acc[t] = fma(even, set_f32(a[t * kGroup + k]), acc[t]);
        acc[t] = fma(odd, set_f32(a[t * kGroup + k + 1]), acc[t]);
      }
#endif
    }
  }
  store_tile<T>(acc, out);
}

}  // namespace
}  // namespace tessera
