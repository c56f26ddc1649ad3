// Preparing rows of activations: optional RMS norm, then f32, bf16 or int8 in the block layout.

namespace tessera {
namespace {

TESSERA_INLINE int block_count(int rows, int block_rows) {
  return (rows + block_rows - 1) / block_rows;
}
TESSERA_INLINE int block_begin(int rows, int blocks, int block) {
  return static_cast<int>(static_cast<std::int64_t>(rows) * block / blocks);
}

float rms_scale(const float* x, std::int64_t cols, float epsilon) {
  F32x16 sum = zero_f32();
  std::int64_t k = 0;
  for (; k + kLanes <= cols; k += kLanes) {
    const F32x16 v = load(x + k);
    sum = fma(v, v, sum);
  }
  if (k < cols) {
    const F32x16 v = load_n(x + k, static_cast<int>(cols - k));
    sum = fma(v, v, sum);
  }
  return 1.0f / __builtin_sqrtf(reduce_add(sum) / static_cast<float>(cols) + epsilon);
}

struct GroupValues {
  F32x16 low, high;
};

// Elements 32 g … of the row, normalised; zeros past its end.
TESSERA_INLINE GroupValues read_group(const float* x, std::int64_t cols, std::int64_t k,
                                      const float* weight, float scale) {
  GroupValues v;
  if (k + kGroup <= cols) {
    v = {load(x + k), load(x + k + kLanes)};
    if (weight != nullptr) {
      v.low = v.low * set_f32(scale) * load(weight + k);
      v.high = v.high * set_f32(scale) * load(weight + k + kLanes);
    }
    return v;
  }
  const int left = static_cast<int>(cols - k);
  const int low = left < kLanes ? left : kLanes, high = left - low;
  v.low = load_n(x + k, low);
  v.high = high > 0 ? load_n(x + k + kLanes, high) : zero_f32();
  if (weight != nullptr) {
    v.low = v.low * set_f32(scale) * load_n(weight + k, low);
    if (high > 0) v.high = v.high * set_f32(scale) * load_n(weight + k + kLanes, high);
  }
  return v;
}

// See ActivationView.
TESSERA_INLINE std::int64_t extra_cell(int rows, int groups, int extra_capacity, int first_row) {
  return static_cast<std::int64_t>(rows) * groups +
         static_cast<std::int64_t>(first_row) * extra_capacity;
}
TESSERA_INLINE std::int64_t outlier_cell(const ActivationSink& sink, int row) {
  return extra_cell(sink.rows, sink.groups, sink.extra_capacity, sink.rows) + row;
}

// The group of the largest step, if that is large enough.
int find_outlier(const float* steps, int groups, int stride) {
  float total = 0, largest = 0;
  int found = -1;
  for (int g = 0; g < groups; ++g) {
    const float square = steps[g * stride] * steps[g * stride];
    total += square;
    if (square > largest) {
      largest = square;
      found = g;
    }
  }
  return largest > kOutlierShare * total ? found : -1;
}

// Rounds a group to int8 with its numbers in `cell`, and returns what rounding left over.
TESSERA_INLINE GroupValues quantize_group(const GroupValues& v, std::int64_t cell,
                                          const ActivationSink& sink) {
  const float peak = reduce_max(max(abs(v.low), abs(v.high)));
  // Below 1e-30 the inverse might overflow; such a group counts as zero.
  const float inverse = peak > 1e-30f ? 127.0f / peak : 0.0f;
  const I32x16 low = to_i32(v.low * set_f32(inverse));
  const I32x16 high = to_i32(v.high * set_f32(inverse));
  auto* out = static_cast<std::int8_t*>(sink.values) + cell * kGroup;
  store_i8(out, low);
  store_i8(out + kLanes, high);
  const std::int32_t low_sum = reduce_add(low), high_sum = reduce_add(high);
  const std::int32_t sum = low_sum + high_sum;
  const float step = peak > 1e-30f ? peak * (1.0f / 127.0f) : 0.0f;
  sink.scale[cell] = step;
  sink.scaled_sum[cell] = step * static_cast<float>(sum);
  sink.start_u4[cell] = -8 * sum;
  sink.start_i8[cell] = kBiasInStart ? -128 * sum : 0;
  sink.start_u6_low[cell] = -32 * low_sum;
  sink.start_u6_high[cell] = -32 * high_sum;
  const F32x16 back = set_f32(-step);
  return {fma(to_f32(low), back, v.low), fma(to_f32(high), back, v.high)};
}

void prepare_row(const float* x, std::int64_t cols, const float* norm_weight, float epsilon,
                 ActivationKind kind, int row, const ActivationSink& sink) {
  const int blocks = block_count(sink.rows, sink.block_rows);
  const int block = static_cast<int>((static_cast<std::int64_t>(row + 1) * blocks - 1) / sink.rows);
  const int begin = block_begin(sink.rows, blocks, block);
  const int stride = block_begin(sink.rows, blocks, block + 1) - begin;
  // Number of (group, row) cells before group 0 of this row.
  std::int64_t cell = static_cast<std::int64_t>(begin) * sink.groups + (row - begin);
  const float scale = norm_weight != nullptr ? rms_scale(x, cols, epsilon) : 1.0f;

  for (int g = 0; g < sink.groups; ++g, cell += stride) {
    const GroupValues v =
        read_group(x, cols, static_cast<std::int64_t>(g) * kGroup, norm_weight, scale);
    if (kind == ActivationKind::kF32) {
      float* out = static_cast<float*>(sink.values) + cell * kGroup;
      store(out, v.low);
      store(out + kLanes, v.high);
    } else if (kind == ActivationKind::kBF16) {
      auto* out = static_cast<std::uint16_t*>(sink.values) + cell * kGroup;
      store_bf16(out, v.low);
      store_bf16(out + kLanes, v.high);
    } else {
      quantize_group(v, cell, sink);
    }
  }
  if (sink.extra_capacity == 0) return;

  cell -= static_cast<std::int64_t>(sink.groups) * stride;
  const int outlier = find_outlier(sink.scale + cell, sink.groups, stride);
  sink.outliers[row] = outlier;
  if (outlier < 0) return;
  const GroupValues v =
      read_group(x, cols, static_cast<std::int64_t>(outlier) * kGroup, norm_weight, scale);
  const GroupValues rest =
      quantize_group(v, cell + static_cast<std::int64_t>(outlier) * stride, sink);
  quantize_group(rest, outlier_cell(sink, row), sink);
}

void copy_cell(const ActivationSink& sink, std::int64_t from, std::int64_t to) {
  auto* values = static_cast<std::int8_t*>(sink.values);
  __builtin_memcpy(values + to * kGroup, values + from * kGroup, kGroup);
  sink.scale[to] = sink.scale[from];
  sink.scaled_sum[to] = sink.scaled_sum[from];
  sink.start_u4[to] = sink.start_u4[from];
  sink.start_i8[to] = sink.start_i8[from];
  sink.start_u6_low[to] = sink.start_u6_low[from];
  sink.start_u6_high[to] = sink.start_u6_high[from];
}

void clear_cell(const ActivationSink& sink, std::int64_t cell) {
  __builtin_memset(static_cast<std::int8_t*>(sink.values) + cell * kGroup, 0, kGroup);
  sink.scale[cell] = sink.scaled_sum[cell] = 0;
  sink.start_u4[cell] = sink.start_i8[cell] = 0;
  sink.start_u6_low[cell] = sink.start_u6_high[cell] = 0;
}

// The outliers of a block's rows, group by group.
void gather_extras(int block, const ActivationSink& sink) {
  const int blocks = block_count(sink.rows, sink.block_rows);
  const int begin = block_begin(sink.rows, blocks, block);
  const int end = block_begin(sink.rows, blocks, block + 1);
  std::int64_t cell = extra_cell(sink.rows, sink.groups, sink.extra_capacity, begin);
  std::int32_t* groups = sink.extra_groups + static_cast<std::int64_t>(block) * sink.extra_capacity;
  int count = 0;
  for (int done = -1;; ++count) {
    int next = sink.groups;
    for (int row = begin; row < end; ++row) {
      const int group = sink.outliers[row];
      if (group > done && group < next) next = group;
    }
    if (next == sink.groups) break;
    groups[count] = done = next;
    for (int row = begin; row < end; ++row, ++cell) {
      if (sink.outliers[row] == next) {
        copy_cell(sink, outlier_cell(sink, row), cell);
      } else {
        clear_cell(sink, cell);
      }
    }
  }
  sink.extra_counts[block] = count;
}

}  // namespace
}  // namespace tessera
