// Tiles of float panels: P panels of 16 output rows by T rows of activations, accumulated one input
// (one pair for bf16) after the other, so a row of activations gets the same sums in every tile.

namespace tessera {
namespace {

// What fits in the registers: 32 of 16 lanes with AVX-512, 16 of 8 lanes with AVX2. Two panels
// share every broadcast activation; loads, not arithmetic, would limit a tile of one panel.
#if defined(__AVX512F__)
constexpr int kTilePanels = 2;
constexpr int kFloatTileRows = 12;
constexpr int kInt8TileRows = 6;
#elif defined(__AVX2__)
constexpr int kTilePanels = 1;
constexpr int kFloatTileRows = 4;
constexpr int kInt8TileRows = 2;
#else
constexpr int kTilePanels = 1;
constexpr int kFloatTileRows = 2;
constexpr int kInt8TileRows = 2;
#endif

// One block of activations; `stride` is its number of rows.
struct TileView {
  const void* values;
  const float* scale;
  const float* scaled_sum;
  const std::int32_t* start_u4;
  const std::int32_t* start_i8;
  const std::int32_t* start_u6_low;
  const std::int32_t* start_u6_high;
  int groups;
  int stride;
  // An extra: one group, whose products are added to those in the tile.
  bool adds;
  int skip;  // K kinds: its place in its super-group
};

// Where panel `which` of a slab of kWays panels (1 or 2) has its parts. `group` points behind the
// header, if any. See MatmulJob.
template <PanelKind kKind, int kWays>
struct Place {
  static constexpr int kIndex = static_cast<int>(kKind);
  static constexpr int kLineBytes = kPanelLineBytes[kIndex];
  static constexpr int kSetBytes = kPanelSetBytes[kIndex];
  static constexpr int kHeaderBytes = kPanelHeaderSets[kIndex] * 2 * kPanelRows * kWays;
  // From one group to the next under the same header.
  static constexpr int kGroupBytes =
      (kPanelLines[kIndex] * kLineBytes + kPanelSets[kIndex] * kSetBytes) * kWays;

  TESSERA_INLINE static const std::byte* line(const std::byte* group, int which, int j) {
    return group + (j * kWays + which) * kLineBytes;
  }
  TESSERA_INLINE static const std::byte* set(const std::byte* group, int which, int i) {
    return group + kPanelLines[kIndex] * kLineBytes * kWays + (i * kWays + which) * kSetBytes;
  }
  TESSERA_INLINE static const std::byte* header(const std::byte* super, int which, int i) {
    return super + (i * kWays + which) * 2 * kPanelRows;
  }
};

// All tiles: panels first … first + P - 1 of `slab`, T rows of activations, out: [P][T][16].

template <int P, int T>
TESSERA_INLINE void clear(F32x16 (&acc)[P][T]) {
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) acc[p][t] = zero_f32();
  }
}

// Zeros, or for an extra what the tile holds already.
template <int P, int T>
TESSERA_INLINE void start_tile(const TileView& x, const float* out, F32x16 (&acc)[P][T]) {
  if (!x.adds) return clear(acc);
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) acc[p][t] = load(out + (p * T + t) * kPanelRows);
  }
}

template <int P, int T>
TESSERA_INLINE void store_tile(const F32x16 (&acc)[P][T], float* out) {
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) store(out + (p * T + t) * kPanelRows, acc[p][t]);
  }
}

template <PanelKind kKind, int kWays, int P, int T>
TESSERA_INLINE void tile_plain(const std::byte* slab, int first, const TileView& x, float* out) {
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const float*>(x.values);
  const int stride = x.stride * kGroup;
  for (int g = 0; g < x.groups; ++g, a += stride, slab += Place<kKind, kWays>::kGroupBytes) {
    for (int k = 0; k < kGroup; ++k) {
      F32x16 weights[P];
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        const std::byte* line = Place<kKind, kWays>::line(slab, first + p, k);
        if constexpr (kKind == PanelKind::kF32) {
          weights[p] = load(reinterpret_cast<const float*>(line));
        } else {
          weights[p] = load_f16(reinterpret_cast<const std::uint16_t*>(line));
        }
      }
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        const F32x16 value = set_f32(a[t * kGroup + k]);
#pragma GCC unroll 2
        for (int p = 0; p < P; ++p) acc[p][t] = fma(weights[p], value, acc[p][t]);
      }
    }
  }
  store_tile(acc, out);
}

template <int kWays, int P, int T>
void tile_f32(const std::byte* slab, int first, const TileView& x, float* out) {
  tile_plain<PanelKind::kF32, kWays, P, T>(slab, first, x, out);
}

template <int kWays, int P, int T>
void tile_f16(const std::byte* slab, int first, const TileView& x, float* out) {
  tile_plain<PanelKind::kF16, kWays, P, T>(slab, first, x, out);
}

template <int kWays, int P, int T>
void tile_bf16(const std::byte* slab, int first, const TileView& x, float* out) {
  constexpr PanelKind kKind = PanelKind::kBF16;
  F32x16 acc[P][T];
  clear(acc);
  const int stride = x.stride * kGroup;
#if defined(__AVX512BF16__)
  const auto* a = static_cast<const std::uint16_t*>(x.values);
  for (int g = 0; g < x.groups; ++g, a += stride, slab += Place<kKind, kWays>::kGroupBytes) {
#pragma GCC unroll 2
    for (int j = 0; j < kGroup / 2; ++j) {
      U8x64 weights[P];
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        weights[p] = load_u8(
            reinterpret_cast<const std::uint8_t*>(Place<kKind, kWays>::line(slab, first + p, j)));
      }
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        const Quad pair = broadcast_quad(a + t * kGroup + 2 * j);
#pragma GCC unroll 2
        for (int p = 0; p < P; ++p) acc[p][t] = dot_bf16(acc[p][t], weights[p], pair);
      }
    }
  }
#else
  // Without VDPBF16PS: f32 activations, weights widened. A pair of bf16 is a dword, even input low.
  const I32x16 top = set_i32(static_cast<std::int32_t>(0xffff0000u));
  const auto* a = static_cast<const float*>(x.values);
  for (int g = 0; g < x.groups; ++g, a += stride, slab += Place<kKind, kWays>::kGroupBytes) {
#pragma GCC unroll 2
    for (int k = 0; k < kGroup; ++k) {
      F32x16 weights[P];
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        const I32x16 pairs = load(reinterpret_cast<const std::int32_t*>(
            Place<kKind, kWays>::line(slab, first + p, k / 2)));
        weights[p] = as_f32(k % 2 == 0 ? shift_left<16>(pairs) : pairs & top);
      }
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        const F32x16 value = set_f32(a[t * kGroup + k]);
#pragma GCC unroll 2
        for (int p = 0; p < P; ++p) acc[p][t] = fma(weights[p], value, acc[p][t]);
      }
    }
  }
#endif
  store_tile(acc, out);
}

}  // namespace
}  // namespace tessera
