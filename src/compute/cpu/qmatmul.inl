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
      const U8x64 both = load_u8(as_bytes(Place<kKind, kWays>::line(slab, first + p, j)));
      low[p] = low_nibbles(both);
      high[p] = high_nibbles(both);
    }
    dot_quads<false>(low, a + 4 * j, sum);
    dot_quads<false>(high, a + 16 + 4 * j, sum);
  }
}

template <PanelKind kKind, int kWays, int kLine, int P, int T>
TESSERA_INLINE void five_bits_line(const std::byte* slab, int first, const std::int8_t* a,
                                   const U8x64 (&fifth)[P], I32x16 (&sum)[P][T]) {
  U8x64 low[P], high[P];
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
    const U8x64 both = load_u8(as_bytes(Place<kKind, kWays>::line(slab, first + p, kLine)));
    low[p] = or_bits<kLine, 4, 0x10>(low_nibbles(both), fifth[p]);
    high[p] = or_bits<4 + kLine, 4, 0x10>(high_nibbles(both), fifth[p]);
  }
  dot_quads<false>(low, a + 4 * kLine, sum);
  dot_quads<false>(high, a + 16 + 4 * kLine, sum);
}

// The same for five bits: bit j of a byte of the fifth line is the top bit of the low nibble in the
// same place of line j, bit 4 + j that of the high nibble.
template <PanelKind kKind, int kWays, int P, int T>
TESSERA_INLINE void dot_five_bits(const std::byte* slab, int first, const std::int8_t* a,
                                  I32x16 (&sum)[P][T]) {
  U8x64 fifth[P];
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
    fifth[p] = load_u8(as_bytes(Place<kKind, kWays>::line(slab, first + p, 4)));
  }
  five_bits_line<kKind, kWays, 0>(slab, first, a, fifth, sum);
  five_bits_line<kKind, kWays, 1>(slab, first, a, fifth, sum);
  five_bits_line<kKind, kWays, 2>(slab, first, a, fifth, sum);
  five_bits_line<kKind, kWays, 3>(slab, first, a, fifth, sum);
}

// Six bits, one half (16 inputs) at a time: lines 4 and 5 hold the top two bits of inputs 0–15 and
// 16–31; bits 2j and 2j + 1 of a byte belong to the nibble in the same place of line j.
template <PanelKind kKind, int kWays, int kHalf, int kLine, int P, int T>
TESSERA_INLINE void six_bits_line(const std::byte* slab, int first, const std::int8_t* a,
                                  const U8x64 (&top)[P], I32x16 (&sum)[P][T]) {
  U8x64 quads[P];
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
    const U8x64 both = load_u8(as_bytes(Place<kKind, kWays>::line(slab, first + p, kLine)));
    quads[p] =
        or_bits<2 * kLine, 4, 0x30>(kHalf == 0 ? low_nibbles(both) : high_nibbles(both), top[p]);
  }
  dot_quads<false>(quads, a + 16 * kHalf + 4 * kLine, sum);
}

template <PanelKind kKind, int kWays, int kHalf, int P, int T>
TESSERA_INLINE void dot_six_bits(const std::byte* slab, int first, const std::int8_t* a,
                                 I32x16 (&sum)[P][T]) {
  U8x64 top[P];
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
    top[p] = load_u8(as_bytes(Place<kKind, kWays>::line(slab, first + p, 4 + kHalf)));
  }
  six_bits_line<kKind, kWays, kHalf, 0>(slab, first, a, top, sum);
  six_bits_line<kKind, kWays, kHalf, 1>(slab, first, a, top, sum);
  six_bits_line<kKind, kWays, kHalf, 2>(slab, first, a, top, sum);
  six_bits_line<kKind, kWays, kHalf, 3>(slab, first, a, top, sum);
}

// Eight lines of 16 rows x 4 bytes.
template <PanelKind kKind, int kWays, int P, int T>
TESSERA_INLINE void dot_bytes(const std::byte* slab, int first, const std::int8_t* a,
                              I32x16 (&sum)[P][T]) {
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) {
    U8x64 quads[P];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      quads[p] = load_u8(as_bytes(Place<kKind, kWays>::line(slab, first + p, j)));
    }
    dot_quads<true>(quads, a + 4 * j, sum);
  }
}

// f16[16] after the lines.
template <PanelKind kKind, int kWays, int P>
TESSERA_INLINE void load_set(const std::byte* slab, int first, int i, F32x16 (&set)[P]) {
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) set[p] = load_scales(Place<kKind, kWays>::set(slab, first + p, i));
}

template <int P, int T>
TESSERA_INLINE void apply_scale(const I32x16 (&sum)[P][T], const F32x16 (&weight_scale)[P],
                                const float* scale, F32x16 (&acc)[P][T]) {
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) {
    const F32x16 value = set_f32(scale[t]);
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      acc[p][t] = fma(to_f32(sum[p][t]) * value, weight_scale[p], acc[p][t]);
    }
  }
}

template <int P, int T>
TESSERA_INLINE void apply_minimum(const F32x16 (&minimum)[P], const float* scaled_sum,
                                  F32x16 (&acc)[P][T]) {
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) {
    const F32x16 value = set_f32(scaled_sum[t]);
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) acc[p][t] = fma(minimum[p], value, acc[p][t]);
  }
}

template <int kWays, int P, int T>
void tile_i8(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kI8;
  F32x16 acc[P][T];
  start_tile(x, out, acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  for (std::int64_t g = 0; g < x.groups; ++g, slab += Place<kKind, kWays>::kGroupBytes) {
    I32x16 sum[P][T];
    start_at(x.start_i8 + g * x.stride, sum);
    dot_bytes<kKind, kWays>(slab, first, a + g * x.stride * kGroup, sum);
    F32x16 scale[P];
    load_set<kKind, kWays>(slab, first, 0, scale);
    apply_scale(sum, scale, x.scale + g * x.stride, acc);
  }
  store_tile(acc, out);
}

template <int kWays, int P, int T>
void tile_u4(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kU4;
  F32x16 acc[P][T];
  start_tile(x, out, acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  for (std::int64_t g = 0; g < x.groups; ++g, slab += Place<kKind, kWays>::kGroupBytes) {
    I32x16 sum[P][T];
    start_at(x.start_u4 + g * x.stride, sum);
    dot_nibbles<kKind, kWays>(slab, first, a + g * x.stride * kGroup, sum);
    F32x16 scale[P];
    load_set<kKind, kWays>(slab, first, 0, scale);
    apply_scale(sum, scale, x.scale + g * x.stride, acc);
  }
  store_tile(acc, out);
}

// kU4Min, kU5Min and kU4Zero, whose minimum is the product of its two numbers.
template <PanelKind kKind, int kWays, int P, int T>
TESSERA_INLINE void tile_with_minima(const std::byte* slab, int first, const TileView& x,
                                     float* out) {
  F32x16 acc[P][T];
  start_tile(x, out, acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  for (std::int64_t g = 0; g < x.groups; ++g, slab += Place<kKind, kWays>::kGroupBytes) {
    const std::int64_t cell = g * x.stride;
    I32x16 sum[P][T];
    start_at_zero(sum);
    if constexpr (kKind == PanelKind::kU5Min) {
      dot_five_bits<kKind, kWays>(slab, first, a + cell * kGroup, sum);
    } else {
      dot_nibbles<kKind, kWays>(slab, first, a + cell * kGroup, sum);
    }
    F32x16 scale[P], minimum[P];
    load_set<kKind, kWays>(slab, first, 0, scale);
    apply_scale(sum, scale, x.scale + cell, acc);
    load_set<kKind, kWays>(slab, first, 1, minimum);
    if constexpr (kKind == PanelKind::kU4Zero) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) minimum[p] = minimum[p] * scale[p];
    }
    apply_minimum(minimum, x.scaled_sum + cell, acc);
  }
  store_tile(acc, out);
}

template <int kWays, int P, int T>
void tile_u4_min(const std::byte* slab, int first, const TileView& x, float* out) {
  tile_with_minima<PanelKind::kU4Min, kWays, P, T>(slab, first, x, out);
}

template <int kWays, int P, int T>
void tile_u4_zero(const std::byte* slab, int first, const TileView& x, float* out) {
  tile_with_minima<PanelKind::kU4Zero, kWays, P, T>(slab, first, x, out);
}

template <int kWays, int P, int T>
void tile_u5_min(const std::byte* slab, int first, const TileView& x, float* out) {
  tile_with_minima<PanelKind::kU5Min, kWays, P, T>(slab, first, x, out);
}

// The sixteen numbers of a set of bytes times a number per row from the header: the exact product.
template <PanelKind kKind, int kWays, int P>
TESSERA_INLINE void load_product(const std::byte* super, int header_set, const std::byte* slab,
                                 int first, int i, F32x16 (&product)[P]) {
  using At = Place<kKind, kWays>;
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
    const std::byte* set = At::set(slab, first + p, i);
    const F32x16 factor = kKind == PanelKind::kU6K
                              ? to_f32(load_i8_widened(reinterpret_cast<const std::int8_t*>(set)))
                              : to_f32(load_u8_widened(reinterpret_cast<const std::uint8_t*>(set)));
    product[p] = load_scales(At::header(super, first + p, header_set)) * factor;
  }
}

// kU4K and kU5K. The header has d and -dmin.
template <PanelKind kKind, int kWays, int P, int T>
TESSERA_INLINE void tile_k(const std::byte* slab, int first, const TileView& x, float* out) {
  F32x16 acc[P][T];
  start_tile(x, out, acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  std::int64_t cell = 0;
  for (int g = 0; g < x.groups; g += kSuperGroups) {
    const std::byte* super = slab;
    slab += Place<kKind, kWays>::kHeaderBytes + x.skip * Place<kKind, kWays>::kGroupBytes;
    const int count = x.groups < kSuperGroups ? x.groups : kSuperGroups;
    for (int i = 0; i < count; ++i, cell += x.stride) {
      I32x16 sum[P][T];
      start_at_zero(sum);
      if constexpr (kKind == PanelKind::kU4K) {
        dot_nibbles<kKind, kWays>(slab, first, a + cell * kGroup, sum);
      } else {
        dot_five_bits<kKind, kWays>(slab, first, a + cell * kGroup, sum);
      }
      F32x16 product[P];
      load_product<kKind, kWays>(super, 0, slab, first, 0, product);
      apply_scale(sum, product, x.scale + cell, acc);
      load_product<kKind, kWays>(super, 1, slab, first, 1, product);
      apply_minimum(product, x.scaled_sum + cell, acc);
      slab += Place<kKind, kWays>::kGroupBytes;
    }
  }
  store_tile(acc, out);
}

template <int kWays, int P, int T>
void tile_u4_k(const std::byte* slab, int first, const TileView& x, float* out) {
  tile_k<PanelKind::kU4K, kWays, P, T>(slab, first, x, out);
}

template <int kWays, int P, int T>
void tile_u5_k(const std::byte* slab, int first, const TileView& x, float* out) {
  tile_k<PanelKind::kU5K, kWays, P, T>(slab, first, x, out);
}

template <int kWays, int P, int T>
void tile_u6_k(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kU6K;
  F32x16 acc[P][T];
  start_tile(x, out, acc);
  const auto* a = static_cast<const std::int8_t*>(x.values);
  std::int64_t cell = 0;
  for (int g = 0; g < x.groups; g += kSuperGroups) {
    const std::byte* super = slab;
    slab += Place<kKind, kWays>::kHeaderBytes + x.skip * Place<kKind, kWays>::kGroupBytes;
    const int count = x.groups < kSuperGroups ? x.groups : kSuperGroups;
    for (int i = 0; i < count; ++i, cell += x.stride) {
      I32x16 sum[P][T];
      F32x16 product[P];
      start_at(x.start_u6_low + cell, sum);
      dot_six_bits<kKind, kWays, 0>(slab, first, a + cell * kGroup, sum);
      load_product<kKind, kWays>(super, 0, slab, first, 0, product);
      apply_scale(sum, product, x.scale + cell, acc);
      start_at(x.start_u6_high + cell, sum);
      dot_six_bits<kKind, kWays, 1>(slab, first, a + cell * kGroup, sum);
      load_product<kKind, kWays>(super, 0, slab, first, 1, product);
      apply_scale(sum, product, x.scale + cell, acc);
      slab += Place<kKind, kWays>::kGroupBytes;
    }
  }
  store_tile(acc, out);
}

}  // namespace
}  // namespace tessera
