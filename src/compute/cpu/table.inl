// From tiles to a matrix product: blocks of activations by panels, and what happens to a finished
// tile. The activations of one block stay in L1 or L2 while the panels of a chunk pass by.

namespace tessera {
namespace {

TESSERA_INLINE bool is_float(PanelKind kind) {
  return kind == PanelKind::kF32 || kind == PanelKind::kF16 || kind == PanelKind::kBF16;
}

TESSERA_INLINE int activation_bytes(PanelKind kind) {
#if defined(__AVX512BF16__)
  if (kind == PanelKind::kBF16) return 2;
#endif
  return is_float(kind) ? 4 : 1;
}

TESSERA_INLINE TileView tile_view(const ActivationView& x, std::int64_t cell, int stride,
                                  int value_bytes) {
  return {static_cast<const std::byte*>(x.values) + cell * kGroup * value_bytes,
          x.scale + cell,
          x.scaled_sum + cell,
          x.start_u4 + cell,
          x.start_i8 + cell,
          x.start_u6_low + cell,
          x.start_u6_high + cell,
          x.groups,
          stride,
          false,
          0};
}

// A view of one group, `extra` cells of a row further. (int8)
TESSERA_INLINE TileView shifted(TileView x, int extra) {
  const std::int64_t cells = static_cast<std::int64_t>(extra) * x.stride;
  x.values = static_cast<const std::byte*>(x.values) + cells * kGroup;
  x.scale += cells;
  x.scaled_sum += cells;
  x.start_u4 += cells;
  x.start_i8 += cells;
  x.start_u6_low += cells;
  x.start_u6_high += cells;
  x.groups = 1;
  x.adds = true;
  return x;
}

template <int kWays, int P, int T>
TESSERA_INLINE void run_tile(PanelKind kind, const std::byte* slab, int first, const TileView& x,
                             float* out) {
  if constexpr (T <= kInt8TileRows) {
    switch (kind) {
      case PanelKind::kI8:
        return tile_i8<kWays, P, T>(slab, first, x, out);
      case PanelKind::kU4:
        return tile_u4<kWays, P, T>(slab, first, x, out);
      case PanelKind::kU4Min:
        return tile_u4_min<kWays, P, T>(slab, first, x, out);
      case PanelKind::kU5Min:
        return tile_u5_min<kWays, P, T>(slab, first, x, out);
      case PanelKind::kU4Zero:
        return tile_u4_zero<kWays, P, T>(slab, first, x, out);
      case PanelKind::kU4K:
        return tile_u4_k<kWays, P, T>(slab, first, x, out);
      case PanelKind::kU5K:
        return tile_u5_k<kWays, P, T>(slab, first, x, out);
      case PanelKind::kU6K:
        return tile_u6_k<kWays, P, T>(slab, first, x, out);
      default:
        break;
    }
  }
  switch (kind) {
    case PanelKind::kF32:
      return tile_f32<kWays, P, T>(slab, first, x, out);
    case PanelKind::kF16:
      return tile_f16<kWays, P, T>(slab, first, x, out);
    case PanelKind::kBF16:
      return tile_bf16<kWays, P, T>(slab, first, x, out);
    default:
      return;
  }
}

// Blocks have as many rows as a tile takes (kernel_table()). out: [P][rows][16]
template <int kWays, int P>
void multiply_tile(PanelKind kind, const std::byte* slab, int first, const TileView& x,
                   float* out) {
  switch (x.stride) {
    case 1:
      return run_tile<kWays, P, 1>(kind, slab, first, x, out);
    case 2:
      return run_tile<kWays, P, 2>(kind, slab, first, x, out);
#if defined(__AVX2__)
    case 3:
      return run_tile<kWays, P, 3>(kind, slab, first, x, out);
    case 4:
      return run_tile<kWays, P, 4>(kind, slab, first, x, out);
#endif
#if defined(__AVX512F__)
    case 5:
      return run_tile<kWays, P, 5>(kind, slab, first, x, out);
    case 6:
      return run_tile<kWays, P, 6>(kind, slab, first, x, out);
    case 7:
      return run_tile<kWays, P, 7>(kind, slab, first, x, out);
    case 8:
      return run_tile<kWays, P, 8>(kind, slab, first, x, out);
    case 9:
      return run_tile<kWays, P, 9>(kind, slab, first, x, out);
    case 10:
      return run_tile<kWays, P, 10>(kind, slab, first, x, out);
    case 11:
      return run_tile<kWays, P, 11>(kind, slab, first, x, out);
    case 12:
      return run_tile<kWays, P, 12>(kind, slab, first, x, out);
#endif
    default:
      return;
  }
}

TESSERA_INLINE F32x16 load_tail(const float* p, int n) {
  return n == kLanes ? load(p) : load_n(p, n);
}

// One block of activations with its extras.
struct BlockView {
  TileView main;
  TileView extra;  // of the first
  int extras;
  const std::int32_t* extra_groups;
};

// tile: [P][rows][16], the products of the block's groups; adds those of its extras.
template <int kWays, int P>
void add_extras(PanelKind kind, const std::byte* slab, int first, const BlockView& x, float* tile) {
  const int bytes = kPanelGroupBytes[static_cast<int>(kind)] * kWays;
  const bool super = kPanelHeaderSets[static_cast<int>(kind)] > 0;
  for (int e = 0; e < x.extras; ++e) {
    const int group = x.extra_groups[e];
    TileView view = shifted(x.extra, e);
    view.skip = super ? group % kSuperGroups : 0;
    multiply_tile<kWays, P>(kind, slab + static_cast<std::int64_t>(group - view.skip) * bytes,
                            first, view, tile);
  }
}

template <int kWays, int P>
void multiply_all(PanelKind kind, const std::byte* slab, int first, const BlockView& x,
                  float* tile) {
  multiply_tile<kWays, P>(kind, slab, first, x.main, tile);
  add_extras<kWays, P>(kind, slab, first, x, tile);
}

// Moves a finished tile to its place in y. up: the tile of the up projection when gated.
void finish_tile(const MatmulJob& job, int panel, int row, int rows, const float* tile,
                 const float* up) {
  const int first = panel * kPanelRows;
  const int left = job.out_rows - first;
  const int n = left < kPanelRows ? left : kPanelRows;
  const F32x16 bias = job.bias != nullptr ? load_tail(job.bias + first, n) : zero_f32();
  for (int t = 0; t < rows; ++t) {
    float* y = job.y + (row + t) * job.y_stride + first;
    F32x16 v = load(tile + t * kPanelRows);
    switch (job.epilogue) {
      case Epilogue::kStore:
        v = v + bias;
        break;
      case Epilogue::kAdd:
        v = load_tail(y, n) + (v + bias);
        break;
      case Epilogue::kSilu:
        v = silu(v) * load(up + t * kPanelRows);
        break;
      case Epilogue::kGelu:
        v = gelu(v) * load(up + t * kPanelRows);
        break;
    }
    if (n == kLanes) {
      store(y, v);
    } else {
      store_n(y, v, n);
    }
  }
}

// Slabs [from, to) for one block of activations, whose first row is `row`.
void multiply_block(const MatmulJob& job, const BlockView& x, int row, int from, int to) {
  alignas(64) float tile[2 * kFloatTileRows * kPanelRows];
  const int rows = x.main.stride;
  float* const second = tile + rows * kPanelRows;
  const bool gated = job.epilogue == Epilogue::kSilu || job.epilogue == Epilogue::kGelu;
  for (int slab = from; slab < to; ++slab) {
    const std::byte* w = job.slabs + slab * job.slab_bytes;
    if (!gated && (2 * slab + 1) * kPanelRows >= job.out_rows) {
      multiply_all<1, 1>(job.kind, w, 0, x, tile);
      finish_tile(job, 2 * slab, row, rows, tile, nullptr);
      continue;
    }
    if (job.kind != job.up_kind) {
      const std::int64_t gate_bytes =
          static_cast<std::int64_t>(kPanelGroupBytes[static_cast<int>(job.kind)]) * x.main.groups;
      multiply_all<1, 1>(job.kind, w, 0, x, tile);
      multiply_all<1, 1>(job.up_kind, w + gate_bytes, 0, x, second);
    } else if constexpr (kTilePanels == 2) {
      multiply_all<2, 2>(job.kind, w, 0, x, tile);
    } else if (rows == 1) {  // one row leaves registers for both panels: memory is read once
      run_tile<2, 2, 1>(job.kind, w, 0, x.main, tile);
      add_extras<2, 1>(job.kind, w, 0, x, tile);
      add_extras<2, 1>(job.kind, w, 1, x, second);
    } else {
      multiply_all<2, 1>(job.kind, w, 0, x, tile);
      multiply_all<2, 1>(job.kind, w, 1, x, second);
    }
    if (gated) {
      finish_tile(job, slab, row, rows, tile, second);
    } else {
      finish_tile(job, 2 * slab, row, rows, tile, nullptr);
      finish_tile(job, 2 * slab + 1, row, rows, second, nullptr);
    }
  }
}

// Weights that stay in L2 while all blocks of activations pass.
constexpr std::int64_t kSlabBlockBytes = 192 * 1024;

void matmul(const MatmulJob& job, const ActivationView& x, int slab_begin, int slab_end) {
  const int value_bytes = activation_bytes(job.kind);
  const int blocks = block_count(x.rows, x.block_rows);
  const std::int64_t fit = kSlabBlockBytes / job.slab_bytes;
  const int step = fit < 1 ? 1 : static_cast<int>(fit < 32 ? fit : 32);
  for (int from = slab_begin; from < slab_end; from += step) {
    const int to = from + step < slab_end ? from + step : slab_end;
    for (int block = 0; block < blocks; ++block) {
      const int row = block_begin(x.rows, blocks, block);
      const int rows = block_begin(x.rows, blocks, block + 1) - row;
      const auto at = [&](std::int64_t cell) { return tile_view(x, cell, rows, value_bytes); };
      const BlockView view = {at(static_cast<std::int64_t>(row) * x.groups),
                              at(extra_cell(x.rows, x.groups, x.extra_capacity, row)),
                              x.extra_capacity > 0 ? x.extra_counts[block] : 0,
                              x.extra_groups + static_cast<std::int64_t>(block) * x.extra_capacity};
      multiply_block(job, view, row, from, to);
    }
  }
}

KernelTable kernel_table(const char* name) {
#if defined(__AVX512BF16__)
  constexpr bool kBF16Dot = true;
#else
  constexpr bool kBF16Dot = false;
#endif
  return {name, kBF16Dot, kFloatTileRows, kInt8TileRows, matmul, prepare_row, gather_extras};
}

}  // namespace
}  // namespace tessera
