// Tiles of quantised panels. Per group of 32 inputs and row of activations:
//   acc = fma(float(sum of q * a) * activation_scale, weight_scale, acc), then the minimum's term.
// The integer sums are exact in any order; the float operations are the same in every tile. Weights
// are unpacked in registers on the way: a panel is read as stored, whatever the number of rows.

namespace tessera {
namespace {

// Four loads give 32 inputs: low nibbles are inputs 4j … 4j+3 of 16 rows, high ones those + 16.
template <int T>
TESSERA_INLINE void dot_nibbles(const std::uint8_t* w, const std::int8_t* a, I32x16 (&sum)[T]) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const U8x64 both = load_u8(w + j * 64);
    const U8x64 low = low_nibbles(both), high = high_nibbles(both);
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[t] = dot_u7(sum[t], low, a + t * kGroup + 4 * j);
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[t] = dot_u7(sum[t], high, a + t * kGroup + 16 + 4 * j);
  }
}

template <int T>
TESSERA_INLINE void apply_scale(const I32x16 (&sum)[T], F32x16 weight_scale, const float* scale,
                                F32x16 (&acc)[T]) {
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) {
    acc[t] = fma(to_f32(sum[t]) * set_f32(scale[t]), weight_scale, acc[t]);
  }
}

template <int T>
void tile_u4(const std::byte* panel, const BlockView& x, int stride, float* out) {
  F32x16 acc[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) acc[t] = zero_f32();
  const auto* w = reinterpret_cast<const std::uint8_t*>(panel);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  const float* scale = x.scale;
  const std::int32_t* start = x.start_u4;
  for (int g = 0; g < x.groups; ++g) {
    I32x16 sum[T];
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[t] = set_i32(start[t]);
    dot_nibbles<T>(w, a, sum);
    apply_scale<T>(sum, load_f16(reinterpret_cast<const std::uint16_t*>(w + 256)), scale, acc);
    w += 288;
    a += stride * kGroup;
    scale += stride;
    start += stride;
  }
  store_tile<T>(acc, out);
}

template <int T>
void tile_u4_min(const std::byte* panel, const BlockView& x, int stride, float* out) {
  F32x16 acc[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) acc[t] = zero_f32();
  const auto* w = reinterpret_cast<const std::uint8_t*>(panel);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  const float* scale = x.scale;
  const float* scaled_sum = x.scaled_sum;
  for (int g = 0; g < x.groups; ++g) {
    I32x16 sum[T];
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[t] = set_i32(0);
    dot_nibbles<T>(w, a, sum);
    apply_scale<T>(sum, load_f16(reinterpret_cast<const std::uint16_t*>(w + 256)), scale, acc);
    const F32x16 minimum = load_f16(reinterpret_cast<const std::uint16_t*>(w + 288));
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) acc[t] = fma(minimum, set_f32(scaled_sum[t]), acc[t]);
    w += 320;
    a += stride * kGroup;
    scale += stride;
    scaled_sum += stride;
  }
  store_tile<T>(acc, out);
}

template <int T>
void tile_i8(const std::byte* panel, const BlockView& x, int stride, float* out) {
  F32x16 acc[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) acc[t] = zero_f32();
  const auto* w = reinterpret_cast<const std::uint8_t*>(panel);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  const float* scale = x.scale;
  const std::int32_t* start = x.start_i8;
  for (int g = 0; g < x.groups; ++g) {
    I32x16 sum[T];
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[t] = set_i32(start[t]);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const U8x64 quads = load_u8(w + j * 64);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) sum[t] = dot_i8(sum[t], quads, a + t * kGroup + 4 * j);
    }
    apply_scale<T>(sum, load_f16(reinterpret_cast<const std::uint16_t*>(w + 512)), scale, acc);
    w += 544;
    a += stride * kGroup;
    scale += stride;
    start += stride;
  }
  store_tile<T>(acc, out);
}

// Two scales per group: two halves of 16 inputs, one after the other.
template <int T>
void tile_i8x16(const std::byte* panel, const BlockView& x, int stride, float* out) {
  F32x16 acc[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) acc[t] = zero_f32();
  const auto* w = reinterpret_cast<const std::uint8_t*>(panel);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  const float* scale = x.scale;
  const std::int32_t* start = x.start_i8;
  const std::int32_t* start_low = x.start_low;
  for (int g = 0; g < x.groups; ++g) {
    I32x16 sum[T];
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[t] = set_i32(start_low[t]);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const U8x64 quads = load_u8(w + j * 64);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) sum[t] = dot_i8(sum[t], quads, a + t * kGroup + 4 * j);
    }
    apply_scale<T>(sum, load_f16(reinterpret_cast<const std::uint16_t*>(w + 512)), scale, acc);
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[t] = set_i32(start[t] - start_low[t]);
#pragma GCC unroll 4
    for (int j = 4; j < 8; ++j) {
      const U8x64 quads = load_u8(w + j * 64);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) sum[t] = dot_i8(sum[t], quads, a + t * kGroup + 4 * j);
    }
    apply_scale<T>(sum, load_f16(reinterpret_cast<const std::uint16_t*>(w + 544)), scale, acc);
    w += 576;
    a += stride * kGroup;
    scale += stride;
    start += stride;
    start_low += stride;
  }
  store_tile<T>(acc, out);
}

template <int T>
void tile_u7_min(const std::byte* panel, const BlockView& x, int stride, float* out) {
  F32x16 acc[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) acc[t] = zero_f32();
  const auto* w = reinterpret_cast<const std::uint8_t*>(panel);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  const float* scale = x.scale;
  const float* scaled_sum = x.scaled_sum;
  for (int g = 0; g < x.groups; ++g) {
    I32x16 sum[T];
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[t] = set_i32(0);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const U8x64 quads = load_u8(w + j * 64);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) sum[t] = dot_u7(sum[t], quads, a + t * kGroup + 4 * j);
    }
    apply_scale<T>(sum, load_f16(reinterpret_cast<const std::uint16_t*>(w + 512)), scale, acc);
    const F32x16 minimum = load_f16(reinterpret_cast<const std::uint16_t*>(w + 544));
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) acc[t] = fma(minimum, set_f32(scaled_sum[t]), acc[t]);
    w += 576;
    a += stride * kGroup;
    scale += stride;
    scaled_sum += stride;
  }
  store_tile<T>(acc, out);
}

}  // namespace
}  // namespace tessera
