// Bidirectional attention with VDPBF16PS. Part of attention.inl, inside its unnamed namespace.

inline __m512bh as_bf16(__m512i x) { return reinterpret_cast<__m512bh>(x); }

// count bf16 values from f32, rounded to nearest even; count is a multiple of 16 after padding.
inline void round_row(const float* from, int count, std::uint32_t* pairs, int width) {
  auto* out = reinterpret_cast<std::uint16_t*>(pairs);
  for (int d = 0; d < width; d += 16) {
    const int left = count - d;
    const __mmask16 mask = left >= 16 ? 0xffff : left > 0 ? (1u << left) - 1 : 0;
    const __m256bh half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from + d));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + d), reinterpret_cast<__m256i>(half));
  }
}

template <int R, int V>
inline void dot_tile_bf16(const std::uint32_t* left, int left_stride, const std::uint32_t* right,
                          int right_stride, int pairs, float* to, int to_stride) {
  __m512 sum[R][V] = {};
  for (int i = 0; i < pairs; ++i) {
    __m512i b[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) b[v] = _mm512_loadu_si512(right + i * right_stride + v * 16);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const __m512i a = _mm512_set1_epi32(static_cast<int>(left[r * left_stride + i]));
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        sum[r][v] = _mm512_dpbf16_ps(sum[r][v], as_bf16(a), as_bf16(b[v]));
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(to + r * to_stride + v * 16, sum[r][v]);
  }
}

// to[r][c] = sum over pairs of left[r] . right[.][c], `vectors` columns of 16.
template <int R>
void dot_rows_bf16(const std::uint32_t* left, int left_stride, const std::uint32_t* right,
                   int right_stride, int pairs, int vectors, float* to, int to_stride) {
  int v = 0;
  for (; v + kWide <= vectors; v += kWide) {
    dot_tile_bf16<R, kWide>(left, left_stride, right + v * 16, right_stride, pairs, to + v * 16,
                            to_stride);
  }
  for (; v < vectors; ++v) {
    dot_tile_bf16<R, 1>(left, left_stride, right + v * 16, right_stride, pairs, to + v * 16,
                        to_stride);
  }
}

template <int R>
void attend_group_bf16(const Bf16AttentionTile& t, int row) {
  const int vectors = (t.key_count + 15) / 16, half = t.width / 2;
  for (int r = 0; r < R; ++r) {
    round_row(t.queries + (row + r) * t.width, t.width, t.query_pairs + r * half, t.width);
  }
  dot_rows_bf16<R>(t.query_pairs, half, t.key_pairs, kAttentionKeyStride, half, vectors, t.scores,
                   kAttentionPartition);
  float maximum[R], sum[R];
  for (int r = 0; r < R; ++r) {
    float* scores = t.scores + r * kAttentionPartition;
    soften(scores, 0, t.key_count, 0, vectors, &maximum[r], &sum[r]);
    // In place: pair k / 2 ends before the value k + 16 is read.
    round_row(scores, vectors * 16, reinterpret_cast<std::uint32_t*>(scores), vectors * 16);
  }
  dot_rows_bf16<R>(reinterpret_cast<const std::uint32_t*>(t.scores), kAttentionPartition,
                   t.value_pairs, t.width, (t.key_count + 1) / 2, t.width / 16, t.partial, t.width);
  for (int r = 0; r < R; ++r) {
    merge(maximum[r], sum[r], t.partial + r * t.width, &t.maximum[row + r], &t.sum[row + r],
          t.output + (row + r) * t.width, t.width);
  }
}

void attend_bf16(const Bf16AttentionTile& t) {
  const int half = t.width / 2;
  for (int k = 0; k < t.key_count; ++k) {
    round_row(t.keys + k * t.stride, t.head_dim, t.key_rows + k * half, t.width);
  }
  // Only moves 32-bit words.
  transpose(reinterpret_cast<const float*>(t.key_rows), half, reinterpret_cast<float*>(t.key_pairs),
            kAttentionKeyStride, t.key_count, half);
  for (int k = 0; k < t.key_count; k += 2) {
    const bool two = k + 1 < t.key_count;
    for (int d = 0; d < t.width; d += 16) {
      const int left = t.head_dim - d;
      const __mmask16 mask = left >= 16 ? 0xffff : left > 0 ? (1u << left) - 1 : 0;
      const float* from = t.values + k * t.stride + d;
      const __m512 low = _mm512_maskz_loadu_ps(mask, from);
      const __m512 high = _mm512_maskz_loadu_ps(two ? mask : 0, two ? from + t.stride : from);
      const __m512i low_bits =
          _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(low)));
      const __m512i high_bits =
          _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(high)));
      _mm512_storeu_si512(t.value_pairs + k / 2 * t.width + d,
                          _mm512_or_si512(low_bits, _mm512_slli_epi32(high_bits, 16)));
    }
  }
  for (int row = 0; row < t.rows;) {
    const int rows = t.rows - row < kGroup ? t.rows - row : kGroup;
    switch (rows) {
      case 1:
        attend_group_bf16<1>(t, row);
        break;
      case 2:
        attend_group_bf16<2>(t, row);
        break;
      case 3:
        attend_group_bf16<3>(t, row);
        break;
      case 4:
        attend_group_bf16<4>(t, row);
        break;
      case 5:
        attend_group_bf16<5>(t, row);
        break;
      default:
        attend_group_bf16<6>(t, row);
    }
    row += rows;
  }
}
