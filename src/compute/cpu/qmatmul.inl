// Tiles of quantised panels. Per group of 32 inputs and row of activations:
//   acc = fma(float(sum of q * a) * activation_scale, weight_scale, acc), then the minimum's term.
// The integer sums are exact in any order; the float operations are the same in every tile. Weights
// are unpacked in registers on the way: a panel is read as stored, whatever the number of rows.

namespace tessera {
namespace {

TESSERA_INLINE const std::uint8_t* as_bytes(const std::byte* p) {
  return reinterpret_cast<const std::uint8_t*>(p);
}
TESSERA_INLINE F32x16 load_scales(const std::byte* p) {
  return load_f16(reinterpret_cast<const std::uint16_t*>(p));
}

template <int P, int T>
TESSERA_INLINE void start_at(const std::int32_t* start, I32x16 (&sum)[P][T]) {
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) {
    const I32x16 value = set_i32(start[t]);
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) sum[p][t] = value;
  }
}

template <int P, int T>
TESSERA_INLINE void start_at_zero(I32x16 (&sum)[P][T]) {
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) sum[p][t] = set_i32(0);
  }
}

template <bool kSigned, int P, int T>
TESSERA_INLINE void dot_quads(const U8x64 (&w)[P], const std::int8_t* a, I32x16 (&sum)[P][T]) {
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) {
    const Quad quad = broadcast_quad(a + t * kGroup);
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      sum[p][t] = kSigned ? dot_i8(sum[p][t], w[p], quad) : dot_u7(sum[p][t], w[p], quad);
    }
  }
}

// Four lines give 32 inputs: low nibbles are inputs 4j … 4j+3 of 16 rows, high ones those + 16.
template <PanelKind kKind, int kWays, int P, int T>
TESSERA_INLINE void dot_nibbles(const std::byte* slab, int first, const std::int8_t* a,
                                I32x16 (&sum)[P][T]) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    U8x64 low[P], high[P];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      const U8x64 both = load_u8(as_bytes(line_of<kKind, kWays>(slab, first + p, j)));
      low[p] = low_nibbles(both);
      high[p] = high_nibbles(both);
    }
    dot_quads<false>(low, a + 4 * j, sum);
    dot_quads<false>(high, a + 16 + 4 * j, sum);
  }
}

// Lines of 16 rows x 4 inputs from kBegin to kEnd.
template <bool kSigned, PanelKind kKind, int kWays, int kBegin, int kEnd, int P, int T>
TESSERA_INLINE void dot_bytes(const std::byte* slab, int first, const std::int8_t* a,
                              I32x16 (&sum)[P][T]) {
#pragma GCC unroll 8
  for (int j = kBegin; j < kEnd; ++j) {
    U8x64 quads[P];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      quads[p] = load_u8(as_bytes(line_of<kKind, kWays>(slab, first + p, j)));
    }
    dot_quads<kSigned>(quads, a + 4 * j, sum);
  }
}

// i: the first or second f16[16] after the lines.
template <PanelKind kKind, int kWays, int P, int T>
TESSERA_INLINE void apply_scale(const I32x16 (&sum)[P][T], const std::byte* slab, int first, int i,
                                const float* scale, F32x16 (&acc)[P][T]) {
  F32x16 weight_scale[P];
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
    weight_scale[p] = load_scales(scales_of<kKind, kWays>(slab, first + p, i));
  }
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) {
    const F32x16 value = set_f32(scale[t]);
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      acc[p][t] = fma(to_f32(sum[p][t]) * value, weight_scale[p], acc[p][t]);
    }
  }
}

template <PanelKind kKind, int kWays, int P, int T>
TESSERA_INLINE void apply_minimum(const std::byte* slab, int first, const float* scaled_sum,
                                  F32x16 (&acc)[P][T]) {
  F32x16 minimum[P];
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
    minimum[p] = load_scales(scales_of<kKind, kWays>(slab, first + p, 1));
  }
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) {
    const F32x16 value = set_f32(scaled_sum[t]);
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) acc[p][t] = fma(minimum[p], value, acc[p][t]);
  }
}

template <int kWays, int P, int T>
void tile_u4(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kU4;
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  for (std::int64_t g = 0; g < x.groups; ++g, slab += kSlabGroupBytes<kKind, kWays>) {
    I32x16 sum[P][T];
    start_at(x.start_u4 + g * x.stride, sum);
    dot_nibbles<kKind, kWays>(slab, first, a + g * x.stride * kGroup, sum);
    apply_scale<kKind, kWays>(sum, slab, first, 0, x.scale + g * x.stride, acc);
  }
  store_tile(acc, out);
}

template <int kWays, int P, int T>
void tile_u4_min(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kU4Min;
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  for (std::int64_t g = 0; g < x.groups; ++g, slab += kSlabGroupBytes<kKind, kWays>) {
    I32x16 sum[P][T];
    start_at_zero(sum);
    dot_nibbles<kKind, kWays>(slab, first, a + g * x.stride * kGroup, sum);
    apply_scale<kKind, kWays>(sum, slab, first, 0, x.scale + g * x.stride, acc);
    apply_minimum<kKind, kWays>(slab, first, x.scaled_sum + g * x.stride, acc);
  }
  store_tile(acc, out);
}

template <int kWays, int P, int T>
void tile_i8(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kI8;
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  for (std::int64_t g = 0; g < x.groups; ++g, slab += kSlabGroupBytes<kKind, kWays>) {
    I32x16 sum[P][T];
    start_at(x.start_i8 + g * x.stride, sum);
    dot_bytes<true, kKind, kWays, 0, 8>(slab, first, a + g * x.stride * kGroup, sum);
    apply_scale<kKind, kWays>(sum, slab, first, 0, x.scale + g * x.stride, acc);
  }
  store_tile(acc, out);
}

// Two scales per group: two halves of 16 inputs, one after the other.
template <int kWays, int P, int T>
void tile_i8x16(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kI8x16;
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  for (std::int64_t g = 0; g < x.groups; ++g, slab += kSlabGroupBytes<kKind, kWays>) {
    const std::int64_t cell = g * x.stride;
    I32x16 sum[P][T];
    start_at(x.start_low + cell, sum);
    dot_bytes<true, kKind, kWays, 0, 4>(slab, first, a + cell * kGroup, sum);
    apply_scale<kKind, kWays>(sum, slab, first, 0, x.scale + cell, acc);
    std::int32_t start_high[T];
    for (int t = 0; t < T; ++t) start_high[t] = x.start_i8[cell + t] - x.start_low[cell + t];
    start_at(start_high, sum);
    dot_bytes<true, kKind, kWays, 4, 8>(slab, first, a + cell * kGroup, sum);
    apply_scale<kKind, kWays>(sum, slab, first, 1, x.scale + cell, acc);
  }
  store_tile(acc, out);
}

template <int kWays, int P, int T>
void tile_u7_min(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kU7Min;
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  for (std::int64_t g = 0; g < x.groups; ++g, slab += kSlabGroupBytes<kKind, kWays>) {
    I32x16 sum[P][T];
    start_at_zero(sum);
    dot_bytes<false, kKind, kWays, 0, 8>(slab, first, a + g * x.stride * kGroup, sum);
    apply_scale<kKind, kWays>(sum, slab, first, 0, x.scale + g * x.stride, acc);
    apply_minimum<kKind, kWays>(slab, first, x.scaled_sum + g * x.stride, acc);
  }
  store_tile(acc, out);
}

}  // namespace
}  // namespace tessera
