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

// Some rows of one block of activations, from its first group on. `stride` is the number of rows in
// the block.
struct TileView {
  const void* values;
  const float* scale;
  const float* scaled_sum;
  const std::int32_t* start_u4;
  const std::int32_t* start_i8;
  const std::int32_t* start_low;
  int groups;
  int stride;
};

template <int P, int T>
TESSERA_INLINE void clear(F32x16 (&acc)[P][T]) {
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) acc[p][t] = zero_f32();
  }
}

// out: [P][T][16]
template <int P, int T>
TESSERA_INLINE void store_tile(const F32x16 (&acc)[P][T], float* out) {
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) store(out + (p * T + t) * kPanelRows, acc[p][t]);
  }
}

TESSERA_INLINE F32x16 load_weights(const float* p) { return load(p); }
TESSERA_INLINE F32x16 load_weights(const std::uint16_t* p) { return load_f16(p); }

// Panel p starts p * distance bytes after `panel`.
template <int P, int T, class Weight>
TESSERA_INLINE void tile_plain(const std::byte* panel, std::int64_t distance, const TileView& x,
                               float* out) {
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const float*>(x.values);
  const int stride = x.stride * kGroup;
  for (int g = 0; g < x.groups; ++g, a += stride) {
    for (int k = 0; k < kGroup; ++k, panel += kPanelRows * sizeof(Weight)) {
      F32x16 weights[P];
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        weights[p] = load_weights(reinterpret_cast<const Weight*>(panel + p * distance));
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

template <int P, int T>
void tile_f32(const std::byte* panel, std::int64_t distance, const TileView& x, float* out) {
  tile_plain<P, T, float>(panel, distance, x, out);
}

template <int P, int T>
void tile_f16(const std::byte* panel, std::int64_t distance, const TileView& x, float* out) {
  tile_plain<P, T, std::uint16_t>(panel, distance, x, out);
}

#if defined(__AVX512BF16__)

template <int P, int T>
void tile_bf16(const std::byte* panel, std::int64_t distance, const TileView& x, float* out) {
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const std::uint16_t*>(x.values);
  const int stride = x.stride * kGroup;
  for (int g = 0; g < x.groups; ++g, a += stride) {
#pragma GCC unroll 2
    for (int k = 0; k < kGroup; k += 2, panel += 64) {
      U8x64 weights[P];
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        weights[p] = load_u8(reinterpret_cast<const std::uint8_t*>(panel + p * distance));
      }
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        const Quad pair = broadcast_quad(a + t * kGroup + k);
#pragma GCC unroll 2
        for (int p = 0; p < P; ++p) acc[p][t] = dot_bf16(acc[p][t], weights[p], pair);
      }
    }
  }
  store_tile(acc, out);
}

#else

// Without VDPBF16PS: f32 activations, weights widened. A pair of bf16 is a dword, even input low.
template <int P, int T>
void tile_bf16(const std::byte* panel, std::int64_t distance, const TileView& x, float* out) {
  F32x16 acc[P][T];
  clear(acc);
  const auto* a = static_cast<const float*>(x.values);
  const int stride = x.stride * kGroup;
  for (int g = 0; g < x.groups; ++g, a += stride) {
    for (int k = 0; k < kGroup; k += 2, panel += 64) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        const I32x16 pairs = load(reinterpret_cast<const std::int32_t*>(panel + p * distance));
        const F32x16 even = as_f32(shift_left<16>(pairs));
        const F32x16 odd = as_f32(pairs & set_i32(static_cast<std::int32_t>(0xffff0000u)));
#pragma GCC unroll 12
        for (int t = 0; t < T; ++t) {
          acc[p][t] = fma(even, set_f32(a[t * kGroup + k]), acc[p][t]);
          acc[p][t] = fma(odd, set_f32(a[t * kGroup + k + 1]), acc[p][t]);
        }
      }
    }
  }
  store_tile(acc, out);
}

#endif

}  // namespace
}  // namespace tessera
