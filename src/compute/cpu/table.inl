// From tiles to a matrix product: blocks of activations by panels, and what happens to a finished
// tile. The activations of one block stay in L1 or L2 while the panels of a chunk pass by.

namespace tessera {
namespace {

TESSERA_INLINE BlockView skip_rows(const BlockView& x, int rows, int value_bytes) {
  return {static_cast<const std::byte*>(x.values) +
              static_cast<std::int64_t>(rows) * kGroup * value_bytes,
          x.scale + rows,
          x.scaled_sum + rows,
          x.start_u4 + rows,
          x.start_i8 + rows,
          x.start_low + rows,
          x.groups};
}

template <int T>
TESSERA_INLINE void run_tile(PanelKind kind, const std::byte* panel, const BlockView& x, int stride,
                             float* out) {
  switch (kind) {
    case PanelKind::kF32:
      return tile_f32<T>(panel, x, stride, out);
    case PanelKind::kF16:
      return tile_f16<T>(panel, x, stride, out);
    case PanelKind::kBF16:
      return tile_bf16<T>(panel, x, stride, out);
    case PanelKind::kI8:
      return tile_i8<T>(panel, x, stride, out);
    case PanelKind::kI8x16:
      return tile_i8x16<T>(panel, x, stride, out);
    case PanelKind::kU7Min:
      return tile_u7_min<T>(panel, x, stride, out);
    case PanelKind::kU4:
      return tile_u4<T>(panel, x, stride, out);
    case PanelKind::kU4Min:
      return tile_u4_min<T>(panel, x, stride, out);
  }
}

// out: [rows][16]
void multiply_block(PanelKind kind, const std::byte* panel, const BlockView& x, int rows,
                    int value_bytes, float* out) {
#if defined(__AVX512F__)
  (void)value_bytes;
  switch (rows) {
    case 1:
      return run_tile<1>(kind, panel, x, 1, out);
    case 2:
      return run_tile<2>(kind, panel, x, 2, out);
    case 3:
      return run_tile<3>(kind, panel, x, 3, out);
    case 4:
      return run_tile<4>(kind, panel, x, 4, out);
    case 5:
      return run_tile<5>(kind, panel, x, 5, out);
    case 6:
      return run_tile<6>(kind, panel, x, 6, out);
    case 7:
      return run_tile<7>(kind, panel, x, 7, out);
    case 8:
      return run_tile<8>(kind, panel, x, 8, out);
    case 9:
      return run_tile<9>(kind, panel, x, 9, out);
    case 10:
      return run_tile<10>(kind, panel, x, 10, out);
    case 11:
      return run_tile<11>(kind, panel, x, 11, out);
    default:
      return run_tile<12>(kind, panel, x, 12, out);
  }
#else
  int row = 0;
  for (; row + 2 <= rows; row += 2) {
    run_tile<2>(kind, panel, skip_rows(x, row, value_bytes), rows, out + row * kPanelRows);
  }
  if (row < rows) {
    run_tile<1>(kind, panel, skip_rows(x, row, value_bytes), rows, out + row * kPanelRows);
  }
#endif
}

TESSERA_INLINE int activation_bytes(PanelKind kind) {
  switch (kind) {
    case PanelKind::kF32:
    case PanelKind::kF16:
      return 4;
    case PanelKind::kBF16:
#if defined(__AVX512BF16__)
      return 2;
#else
      return 4;
#endif
    default:
      return 1;
  }
}

TESSERA_INLINE F32x16 load_tail(const float* p, int n) {
  return n == kLanes ? load(p) : load_n(p, n);
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

// Weights that stay in L2 while all blocks of activations pass.
constexpr std::int64_t kPanelBlockBytes = 192 * 1024;

void matmul(const MatmulJob& job, const ActivationView& x, int panel_begin, int panel_end) {
  alignas(64) float tile[kTileTokens * kPanelRows], up[kTileTokens * kPanelRows];
  const bool gated = job.epilogue == Epilogue::kSilu || job.epilogue == Epilogue::kGelu;
  const int value_bytes = activation_bytes(job.kind);
  const int blocks = block_count(x.rows);
  const std::int64_t fit = kPanelBlockBytes / job.panel_stride;
  const int step = fit < 1 ? 1 : static_cast<int>(fit < 64 ? fit : 64);
  for (int from = panel_begin; from < panel_end; from += step) {
    const int to = from + step < panel_end ? from + step : panel_end;
    for (int block = 0; block < blocks; ++block) {
      const int row = block_begin(x.rows, blocks, block);
      const int rows = block_begin(x.rows, blocks, block + 1) - row;
      const std::int64_t cell = static_cast<std::int64_t>(row) * x.groups;
      const BlockView view = {static_cast<const std::byte*>(x.values) + cell * kGroup * value_bytes,
                              x.scale + cell,
                              x.scaled_sum + cell,
                              x.start_u4 + cell,
                              x.start_i8 + cell,
                              x.start_low + cell,
                              x.groups};
      for (int panel = from; panel < to; ++panel) {
        const std::byte* w = job.panels + panel * job.panel_stride;
        multiply_block(job.kind, w, view, rows, value_bytes, tile);
        if (gated) multiply_block(job.up_kind, w + job.up_offset, view, rows, value_bytes, up);
        finish_tile(job, panel, row, rows, tile, up);
      }
    }
  }
}

KernelTable kernel_table(const char* name) {
#if defined(__AVX512BF16__)
  constexpr bool kBF16Dot = true;
#else
  constexpr bool kBF16Dot = false;
#endif
  return {name, kBF16Dot, matmul, prepare_row};
}

}  // namespace
}  // namespace tessera
