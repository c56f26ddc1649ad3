// Bodies of AttentionKernels, compiled once per instruction set by attention_*.cpp, which define
// TESSERA_ATTENTION_KERNELS (the name of the table), kLanes, splat, multiply_add, and widen/narrow
// of 16-bit floats. Contraction is off: what is fused is written as multiply_add.
//
// Vectors are GCC/Clang vector extensions of kLanes floats: one text for every instruction set.
// Only accumulations across the lanes of one vector depend on kLanes; what a row gets does not
// depend on how many rows are computed together, because each (row, lane) has its own accumulator
// and all of them run over keys or dimensions in ascending order.

namespace {

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef float UnalignedVec __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef std::int32_t IVec __attribute__((vector_size(kLanes * 4)));

constexpr float kMinusInfinity = -__builtin_inff();

inline Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }

inline float horizontal_sum(Vec v) {
  float sum[kLanes];
  store(sum, v);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) sum[i] += sum[i + half];
  }
  return sum[0];
}

inline float horizontal_max(Vec v) {
  float max = v[0];
  for (int i = 1; i < kLanes; ++i) max = v[i] > max ? v[i] : max;
  return max;
}

// 2^x for x <= 127; 0 below -126. The polynomial is a minimax fit of 2^f on [-1/2, 1/2] with a
// relative error of 2e-9.
inline Vec exp2_lanes(Vec x) {
  const Vec low = splat(-126.0f);
  const Vec clamped = x > low ? x : low;
  const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec whole = (clamped + magic) - magic;
  const Vec f = clamped - whole;
  Vec p = splat(1.5345810970757157e-4f);
  p = p * f + 1.3399930903688073e-3f;
  p = p * f + 9.618489071726799e-3f;
  p = p * f + 5.550328642129898e-2f;
  p = multiply_add(p, f, splat(0.24022646248340607f));
  p = multiply_add(p, f, splat(0.6931471824645996f));
  p = multiply_add(p, f, splat(1.0f));
  const IVec scaled = reinterpret_cast<IVec>(p) + (__builtin_convertvector(whole, IVec) << 23);
  return x < low ? Vec{} : reinterpret_cast<Vec>(scaled);
}

inline float exp2_one(float x) { return exp2_lanes(splat(x))[0]; }

// --- 16-bit floats -----------------------------------------------------------------------------

typedef std::uint16_t HalfVec __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));
typedef std::uint32_t UVec __attribute__((vector_size(kLanes * 4)));

inline Vec widen_bf16(const std::uint16_t* p) {
  const HalfVec half = *reinterpret_cast<const HalfVec*>(p);
  return reinterpret_cast<Vec>(__builtin_convertvector(half, UVec) << 16);
}

inline float widen_bf16_one(std::uint16_t half) {
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// Round to nearest even; the quiet bit keeps a NaN a NaN.
inline std::uint16_t narrow_bf16_one(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// --- attention ---------------------------------------------------------------------------------

// Rows computed together, and vectors of keys or dimensions: as many accumulators as registers
// allow beside the operands.
constexpr int kGroup = kAttentionRows;
constexpr int kWide = kLanes >= 16 ? 4 : 2;

// scores[r][k] = queries[r] . keys[.][k] for R rows and V vectors of keys.
template <int R, int V>
inline void score_tile(const float* queries, int width, int head_dim, const float* keys,
                       float* scores) {
  Vec sum[R][V] = {};
  for (int d = 0; d < head_dim; ++d) {
    Vec key[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) key[v] = load(keys + d * kAttentionKeyStride + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec query = splat(queries[r * width + d]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(query, key[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(scores + r * kAttentionPartition + v * kLanes, sum[r][v]);
  }
}

template <int R>
void score_rows(const float* queries, int width, int head_dim, const float* keys, int vectors,
                float* scores) {
  int v = 0;
  for (; v + kWide <= vectors; v += kWide) {
    score_tile<R, kWide>(queries, width, head_dim, keys + v * kLanes, scores + v * kLanes);
  }
  for (; v < vectors; ++v) {
    score_tile<R, 1>(queries, width, head_dim, keys + v * kLanes, scores + v * kLanes);
  }
}

// output[r][.] = sum over keys in [first, last) of weights[r][k] * values[k][.]
template <int R, int V>
inline void mix_tile(const float* weights, int first, int last, const float* values, int width,
                     float* output) {
  Vec sum[R][V] = {};
  for (int k = first; k < last; ++k) {
    Vec value[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) value[v] = load(values + k * width + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec weight = splat(weights[r * kAttentionPartition + k]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(weight, value[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(output + r * width + v * kLanes, sum[r][v]);
  }
}

template <int R>
void mix_rows(const float* weights, int first, int last, const float* values, int width,
              float* output) {
  int d = 0;
  for (; d + kWide * kLanes <= width; d += kWide * kLanes) {
    mix_tile<R, kWide>(weights, first, last, values + d, width, output + d);
  }
  for (; d < width; d += kLanes) {
    mix_tile<R, 1>(weights, first, last, values + d, width, output + d);
  }
}

// The same two products from stored keys and values.

template <StoredType T>
inline Vec load_stored(const void* base, int element) {
  if constexpr (T == StoredType::kF32) return load(static_cast<const float*>(base) + element);
  const auto* half = static_cast<const std::uint16_t*>(base) + element;
  if constexpr (T == StoredType::kBF16) return widen_bf16(half);
  return widen_f16(half);
}

constexpr int kSlice = 16;  // tokens
constexpr int kSliceVectors = kSlice / kLanes;
constexpr int kSlicesWide = kWide > kSliceVectors ? kWide / kSliceVectors : 1;

template <int R, int S, StoredType T>
inline void score_slices(const AttentionTile& t, const float* queries, int slice, float* scores) {
  constexpr int V = S * kSliceVectors;
  Vec sum[R][V] = {};
  const void* from[S];
  for (int i = 0; i < S; ++i) from[i] = t.key_slices[slice + i];
  for (int d = 0; d < t.head_dim; ++d) {
    Vec key[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      key[v] =
          load_stored<T>(from[v / kSliceVectors], d * t.key_stride + v % kSliceVectors * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec query = splat(queries[r * t.width + d]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(query, key[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      store(scores + r * kAttentionPartition + slice * kSlice + v * kLanes, sum[r][v]);
    }
  }
}

template <int R, StoredType T>
void score_stored(const AttentionTile& t, const float* queries, int slice, int last_slice,
                  float* scores) {
  for (; slice + kSlicesWide <= last_slice; slice += kSlicesWide) {
    score_slices<R, kSlicesWide, T>(t, queries, slice, scores);
  }
  for (; slice < last_slice; ++slice) score_slices<R, 1, T>(t, queries, slice, scores);
}

template <int R, int V, StoredType T>
inline void mix_slices(const AttentionTile& t, const float* weights, int first, int last, int d,
                       float* output) {
  Vec sum[R][V] = {};
  for (int k = first; k < last;) {
    const void* values = t.value_slices[k / kSlice];
    const int end = (k / kSlice + 1) * kSlice < last ? (k / kSlice + 1) * kSlice : last;
    for (; k < end; ++k) {
      Vec value[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        value[v] = load_stored<T>(values, k % kSlice * t.head_dim + d + v * kLanes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vec weight = splat(weights[r * kAttentionPartition + k]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(weight, value[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(output + r * t.width + d + v * kLanes, sum[r][v]);
  }
}

template <int R, StoredType T>
void mix_stored(const AttentionTile& t, const float* weights, int first, int last, float* output) {
  int d = 0;
  for (; d + kWide * kLanes <= t.width; d += kWide * kLanes) {
    mix_slices<R, kWide, T>(t, weights, first, last, d, output);
  }
  for (; d < t.width; d += kLanes) mix_slices<R, 1, T>(t, weights, first, last, d, output);
}

void merge(float from_maximum, float from_sum, const float* from_output, float* into_maximum,
           float* into_sum, float* into_output, int width) {
  if (from_maximum == kMinusInfinity) return;
  if (*into_maximum == kMinusInfinity) {
    *into_maximum = from_maximum;
    *into_sum = from_sum;
    for (int d = 0; d < width; d += kLanes) store(into_output + d, load(from_output + d));
    return;
  }
  const float maximum = from_maximum > *into_maximum ? from_maximum : *into_maximum;
  const float keep = exp2_one(*into_maximum - maximum);
  const float take = exp2_one(from_maximum - maximum);
  *into_maximum = maximum;
  *into_sum = *into_sum * keep + from_sum * take;
  for (int d = 0; d < width; d += kLanes) {
    store(into_output + d, load(into_output + d) * keep + load(from_output + d) * take);
  }
}

// Turns scores of [first, last) into weights 2^(score - maximum) and everything else in
// [begin, vectors) into 0. Returns maximum and sum.
inline void soften(float* scores, int first, int last, int begin, int vectors, float* maximum,
                   float* sum) {
  for (int k = begin * kLanes; k < first; ++k) scores[k] = kMinusInfinity;
  for (int k = last; k < vectors * kLanes; ++k) scores[k] = kMinusInfinity;
  Vec max = splat(kMinusInfinity);
  for (int v = begin; v < vectors; ++v) {
    const Vec s = load(scores + v * kLanes);
    max = s > max ? s : max;
  }
  *maximum = horizontal_max(max);
  const Vec shift = splat(*maximum);
  Vec total = {};
  for (int v = begin; v < vectors; ++v) {
    const Vec p = exp2_lanes(load(scores + v * kLanes) - shift);
    store(scores + v * kLanes, p);
    total += p;
  }
  *sum = horizontal_sum(total);
}

// scores[k] += slope * (k - origin) for the keys of [begin, vectors).
inline void add_alibi(float* scores, float slope, int origin, int begin, int vectors) {
  Vec lane = {};
  for (int i = 0; i < kLanes; ++i) lane[i] = static_cast<float>(i);
  for (int v = begin; v < vectors; ++v) {
    const Vec distance = lane + static_cast<float>(v * kLanes - origin);
    store(scores + v * kLanes, multiply_add(splat(slope), distance, load(scores + v * kLanes)));
  }
}

template <int R>
void attend_group(const AttentionTile& t, int row, int first, int last) {
  const float* queries = t.queries + row * t.width;
  // Whole slices of keys, so that no vector straddles two of them.
  const int slice = first / kSlice, last_slice = (last + kSlice - 1) / kSlice;
  const int begin = slice * kSliceVectors, vectors = last_slice * kSliceVectors;
  if (t.keys != nullptr) {
    score_rows<R>(queries, t.width, t.head_dim, t.keys + slice * kSlice, vectors - begin,
                  t.scores + slice * kSlice);
  } else if (t.stored_type == StoredType::kF16) {
    score_stored<R, StoredType::kF16>(t, queries, slice, last_slice, t.scores);
  } else if (t.stored_type == StoredType::kBF16) {
    score_stored<R, StoredType::kBF16>(t, queries, slice, last_slice, t.scores);
  } else {
    score_stored<R, StoredType::kF32>(t, queries, slice, last_slice, t.scores);
  }
  float maximum[R], sum[R];
  for (int r = 0; r < R; ++r) {
    if (t.slopes != nullptr) {
      add_alibi(t.scores + r * kAttentionPartition, t.slopes[row + r], t.origin[row + r], begin,
                vectors);
    }
    soften(t.scores + r * kAttentionPartition, t.first[row + r], t.last[row + r], begin, vectors,
           &maximum[r], &sum[r]);
  }
  if (t.values != nullptr) {
    mix_rows<R>(t.scores, first, last, t.values, t.width, t.partial);
  } else if (t.stored_type == StoredType::kF16) {
    mix_stored<R, StoredType::kF16>(t, t.scores, first, last, t.partial);
  } else if (t.stored_type == StoredType::kBF16) {
    mix_stored<R, StoredType::kBF16>(t, t.scores, first, last, t.partial);
  } else {
    mix_stored<R, StoredType::kF32>(t, t.scores, first, last, t.partial);
  }
  for (int r = 0; r < R; ++r) {
    if (t.first[row + r] >= t.last[row + r]) continue;
    merge(maximum[r], sum[r], t.partial + r * t.width, &t.maximum[row + r], &t.sum[row + r],
          t.output + (row + r) * t.width, t.width);
  }
}

void attend(const AttentionTile& t) {
  for (int row = 0; row < t.rows;) {
    const int rows = t.rows - row < kGroup ? t.rows - row : kGroup;
    int first = kAttentionPartition, last = 0;
    for (int r = row; r < row + rows; ++r) {
      if (t.first[r] >= t.last[r]) continue;
      if (t.first[r] < first) first = t.first[r];
      if (t.last[r] > last) last = t.last[r];
    }
    if (first < last) {
      switch (rows) {
        case 1:
          attend_group<1>(t, row, first, last);
          break;
        case 2:
          attend_group<2>(t, row, first, last);
          break;
        case 3:
          attend_group<3>(t, row, first, last);
          break;
        case 4:
          attend_group<4>(t, row, first, last);
          break;
        case 5:
          attend_group<5>(t, row, first, last);
          break;
        default:
          attend_group<6>(t, row, first, last);
      }
    }
    row += rows;
  }
}

// Four by four at a time through registers.
typedef float Quad __attribute__((vector_size(16)));
typedef float UnalignedQuad __attribute__((vector_size(16), aligned(4), may_alias));

void transpose(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
               int rows, int columns) {
  const int whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  for (int c = 0; c < whole_columns; c += 4) {
    for (int r = 0; r < whole_rows; r += 4) {
      const float* p = from + r * from_stride + c;
      const Quad a = *reinterpret_cast<const UnalignedQuad*>(p);
      const Quad b = *reinterpret_cast<const UnalignedQuad*>(p + from_stride);
      const Quad d = *reinterpret_cast<const UnalignedQuad*>(p + 2 * from_stride);
      const Quad e = *reinterpret_cast<const UnalignedQuad*>(p + 3 * from_stride);
      const Quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Quad ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Quad de_low = __builtin_shufflevector(d, e, 0, 4, 1, 5);
      const Quad de_high = __builtin_shufflevector(d, e, 2, 6, 3, 7);
      float* q = to + c * to_stride + r;
      *reinterpret_cast<UnalignedQuad*>(q) = __builtin_shufflevector(ab_low, de_low, 0, 1, 4, 5);
      *reinterpret_cast<UnalignedQuad*>(q + to_stride) =
          __builtin_shufflevector(ab_low, de_low, 2, 3, 6, 7);
      *reinterpret_cast<UnalignedQuad*>(q + 2 * to_stride) =
          __builtin_shufflevector(ab_high, de_high, 0, 1, 4, 5);
      *reinterpret_cast<UnalignedQuad*>(q + 3 * to_stride) =
          __builtin_shufflevector(ab_high, de_high, 2, 3, 6, 7);
    }
  }
  for (int c = 0; c < columns; ++c) {
    for (int r = c < whole_columns ? whole_rows : 0; r < rows; ++r) {
      to[c * to_stride + r] = from[r * from_stride + c];
    }
  }
}

void widen(bool is_bf16, const std::uint16_t* from, std::int64_t from_stride, float* to,
           std::int64_t to_stride, int rows, int columns) {
  for (int r = 0; r < rows; ++r) {
    const std::uint16_t* in = from + r * from_stride;
    float* out = to + r * to_stride;
    int c = 0;
    if (is_bf16) {
      for (; c + kLanes <= columns; c += kLanes) store(out + c, widen_bf16(in + c));
      for (; c < columns; ++c) out[c] = widen_bf16_one(in[c]);
    } else {
      for (; c + kLanes <= columns; c += kLanes) store(out + c, widen_f16(in + c));
      for (; c < columns; ++c) out[c] = widen_f16_one(in[c]);
    }
  }
}

void narrow(bool is_bf16, const float* from, std::uint16_t* to, int count) {
  int i = 0;
  if (is_bf16) {
    for (; i < count; ++i) to[i] = narrow_bf16_one(from[i]);
  } else {
    const Vec high = splat(65504.0f), low = splat(-65504.0f);
    for (; i + kLanes <= count; i += kLanes) {
      Vec x = load(from + i);
      x = x > high ? high : x;
      x = x < low ? low : x;
      narrow_f16(x, to + i);
    }
    for (; i < count; ++i) {
      const float x = from[i] > 65504.0f ? 65504.0f : from[i] < -65504.0f ? -65504.0f : from[i];
      to[i] = narrow_f16_one(x);
    }
  }
}

#if defined(__AVX512BF16__)
#include "compute/cpu/attention_bf16.inl"
#endif

// --- rows --------------------------------------------------------------------------------------

void rotate(float* head, const float* cosine, const float* sine, int half, bool interleaved) {
  if (interleaved) {
    for (int n = 0; n < half; ++n) {
      const float a = head[2 * n], b = head[2 * n + 1];
      head[2 * n] = a * cosine[n] - b * sine[n];
      head[2 * n + 1] = b * cosine[n] + a * sine[n];
    }
  } else {
    for (int n = 0; n < half; ++n) {
      const float a = head[n], b = head[n + half];
      head[n] = a * cosine[n] - b * sine[n];
      head[n + half] = b * cosine[n] + a * sine[n];
    }
  }
}

// Four accumulators, so that the sum does not wait for one chain of additions.
template <class F>
inline float sum_of(int columns, const F& term, float (*tail)(const float*, int, float),
                    const float* x, float center) {
  Vec sum[4] = {};
  int c = 0;
  for (; c + 4 * kLanes <= columns; c += 4 * kLanes) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) sum[i] = term(load(x + c + i * kLanes), sum[i]);
  }
  for (; c + kLanes <= columns; c += kLanes) sum[0] = term(load(x + c), sum[0]);
  float total = horizontal_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
  for (; c < columns; ++c) total += tail(x, c, center);
  return total;
}

void rms_norm(const float* x, const float* weight, float epsilon, float* y, int columns) {
  const float squares = sum_of(
      columns, [](Vec v, Vec sum) { return multiply_add(v, v, sum); },
      [](const float* p, int c, float) { return p[c] * p[c]; }, x, 0.0f);
  const float scale = 1.0f / __builtin_sqrtf(squares / static_cast<float>(columns) + epsilon);
  int c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    store(y + c, load(x + c) * scale * load(weight + c));
  }
  for (; c < columns; ++c) y[c] = x[c] * scale * weight[c];
}

void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y,
                int columns) {
  const float mean = sum_of(
                         columns, [](Vec v, Vec sum) { return v + sum; },
                         [](const float* p, int c, float) { return p[c]; }, x, 0.0f) /
                     static_cast<float>(columns);
  const float squares = sum_of(
      columns, [mean](Vec v, Vec sum) { return multiply_add(v - mean, v - mean, sum); },
      [](const float* p, int c, float m) { return (p[c] - m) * (p[c] - m); }, x, mean);
  const float scale = 1.0f / __builtin_sqrtf(squares / static_cast<float>(columns) + epsilon);
  int c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    Vec v = (load(x + c) - mean) * scale * load(weight + c);
    if (bias != nullptr) v += load(bias + c);
    store(y + c, v);
  }
  for (; c < columns; ++c) {
    y[c] = (x[c] - mean) * scale * weight[c] + (bias != nullptr ? bias[c] : 0.0f);
  }
}

constexpr float kLog2E = 1.44269504088896341f;

// x Phi(x) with the exact normal distribution: erf(t)/t as a polynomial in t^2 up to 0.9,
// log2(erfc(t)) as a polynomial in t above (minimax fits, absolute error of erf below 5e-8).
inline Vec gelu_lanes(Vec x) {
  const Vec magnitude = x < 0.0f ? -x : x;
  const Vec t = magnitude * 0.70710678118654752f;
  const Vec s = t * t;
  Vec p = splat(8.513103966834024e-05f);
  p = multiply_add(p, s, splat(-0.0008175639086402953f));
  p = multiply_add(p, s, splat(0.005203858949244022f));
  p = multiply_add(p, s, splat(-0.02686050906777382f));
  p = multiply_add(p, s, splat(0.11283715069293976f));
  p = multiply_add(p, s, splat(-0.37612634897232056f));
  p = multiply_add(p, s, splat(1.128379225730896f));
  const Vec near = 0.5f - 0.5f * p * t;  // erfc / 2
  Vec q = splat(-3.0166009310050867e-05f);
  q = multiply_add(q, t, splat(0.0006236803019419312f));
  q = multiply_add(q, t, splat(-0.006002366542816162f));
  q = multiply_add(q, t, splat(0.03619936481118202f));
  q = multiply_add(q, t, splat(-0.1561524122953415f));
  q = multiply_add(q, t, splat(-0.9137837886810303f));
  q = multiply_add(q, t, splat(-1.6295170783996582f));
  q = multiply_add(q, t, splat(0.0002460531541146338f));
  // The fit ends at 4, where erfc is 1.5e-8; beyond, -t^2 log2(e) - 2.8 is close enough.
  const Vec beyond = s * -kLog2E - 2.8f;
  const Vec far = 0.5f * exp2_lanes(t > 4.0f ? beyond : q);
  const Vec tail = t < 0.9f ? near : far;
  return x < 0.0f ? x * tail : x - x * tail;
}

// z/2 (1 + tanh(u)) = z / (1 + e^(-2u)), u = sqrt(2/pi) (z + 0.044715 z^3).
inline Vec gelu_tanh_lanes(Vec x) {
  const Vec u = 0.79788456080286536f * (x + 0.044715f * x * x * x);
  Vec power = -2.0f * kLog2E * u;
  power = power < 126.0f ? power : splat(126.0f);
  return x / (1.0f + exp2_lanes(power));
}

inline Vec silu_lanes(Vec x) {
  Vec power = -kLog2E * x;
  power = power < 126.0f ? power : splat(126.0f);
  return x / (1.0f + exp2_lanes(power));
}

template <Vec (*f)(Vec)>
inline void map_in_place(float* x, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(x + i, f(load(x + i)));
  for (; i < count; ++i) x[i] = f(splat(x[i]))[0];
}

void gelu(float* x, std::int64_t count) { map_in_place<gelu_lanes>(x, count); }
void gelu_tanh(float* x, std::int64_t count) { map_in_place<gelu_tanh_lanes>(x, count); }

void silu_mul(const float* gate, const float* up, float* y, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(y + i, silu_lanes(load(gate + i)) * load(up + i));
  }
  for (; i < count; ++i) y[i] = silu_lanes(splat(gate[i]))[0] * up[i];
}

}  // namespace

const AttentionKernels TESSERA_ATTENTION_KERNELS = {
    TESSERA_ATTEND_BF16, attend, merge,     widen,   narrow, transpose, rotate, rms_norm,
    layer_norm,          gelu,   gelu_tanh, silu_mul};
