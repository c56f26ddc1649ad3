#include "compute/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "compute/cpu/attention_kernels.h"
#include "compute/quantize.h"

namespace tessera {
namespace {

std::vector<const char*> instruction_sets() {
  std::vector<const char*> sets;
  for (const char* name : {"generic", "avx2", "avx512"}) {
    if (cpu::find_attention_kernels(name) != nullptr) sets.push_back(name);
  }
  return sets;
}

Tensor random_tensor(std::int64_t rows, std::int64_t cols, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Tensor x(rows, cols);
  for (std::int64_t i = 0; i < rows * cols; ++i) x.data()[i] = normal(random);
  return x;
}

// Blocks of one sequence, scattered over the cache.
struct Paging {
  Paging(int tokens, int block_size, unsigned seed) : size(block_size) {
    table.resize((tokens + block_size - 1) / block_size);
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), std::mt19937(seed));
  }
  std::int64_t slot(int position) const {
    return std::int64_t{table[position / size]} * size + position % size;
  }
  int size;
  std::vector<std::int32_t> table;
};

struct Memory {
  Memory(const AttentionShape& shape, int blocks, int block_size, KvType type) {
    layer = {nullptr, shape.kv_heads, shape.head_dim, block_size, type};
    // Filled with NaN: what was not stored must not be used.
    bytes.assign(layer.block_bytes() * blocks, std::byte{0xff});
    layer.data = bytes.data();
  }
  std::vector<std::byte> bytes;
  KvLayer layer;
};

float stored(float x, KvType type) {
  if (type == KvType::kF16) return f16_to_f32(f32_to_f16(x));
  if (type == KvType::kBF16) return bf16_to_f32(f32_to_bf16(x));
  return x;
}

// Row by row in f64. Keys of row t are [first(t), last(t)).
template <class Range>
Tensor reference(const Tensor& qkv, const AttentionShape& shape, KvType type, const Range& range) {
  Tensor out(qkv.rows(), shape.q_size());
  const int d = shape.head_dim;
  for (std::int64_t t = 0; t < qkv.rows(); ++t) {
    for (int h = 0; h < shape.heads; ++h) {
      const int kv = h / (shape.heads / shape.kv_heads);
      const auto [first, last] = range(static_cast<int>(t));
      std::vector<double> score;
      for (int j = first; j < last; ++j) {
        double dot = 0;
        for (int i = 0; i < d; ++i) {
          dot += static_cast<double>(qkv.row(t)[h * d + i]) *
                 stored(qkv.row(j)[shape.q_size() + kv * d + i], type);
        }
        const double slope = shape.alibi_slopes.empty() ? 0.0 : shape.alibi_slopes[h];
        score.push_back(dot * shape.scale + slope * static_cast<double>(j - t));
      }
      const double max = *std::max_element(score.begin(), score.end());
      double sum = 0;
      for (double& s : score) sum += s = std::exp(s - max);
      for (int i = 0; i < d; ++i) {
        double value = 0;
        for (int j = first; j < last; ++j) {
          value += score[j - first] / sum *
                   stored(qkv.row(j)[shape.q_size() + shape.kv_size() + kv * d + i], type);
        }
        out.row(t)[h * d + i] = static_cast<float>(value);
      }
    }
  }
  return out;
}

void expect_near(const Tensor& got, const Tensor& want, float tolerance) {
  ASSERT_EQ(got.rows(), want.rows());
  ASSERT_EQ(got.cols(), want.cols());
  for (std::int64_t i = 0; i < got.rows() * got.cols(); ++i) {
    ASSERT_NEAR(got.data()[i], want.data()[i], tolerance) << "element " << i;
  }
}

// Runs a sequence in chunks of `chunk` tokens, and returns all output rows.
Tensor run_paged(const Tensor& qkv, const AttentionShape& shape, Memory& memory,
                 const Paging& paging, int chunk, Attention& attention, ThreadPool& pool) {
  const int tokens = static_cast<int>(qkv.rows());
  Tensor all(tokens, shape.q_size()), part, out;
  for (int begin = 0; begin < tokens; begin += chunk) {
    const int count = std::min(chunk, tokens - begin);
    part.resize(count, qkv.cols());
    std::copy_n(qkv.row(begin), count * qkv.cols(), part.data());
    std::vector<std::int32_t> positions, cu{0, count};
    std::vector<std::int64_t> slots;
    for (int t = begin; t < begin + count; ++t) {
      positions.push_back(t);
      slots.push_back(paging.slot(t));
    }
    const std::span<const std::int32_t> table(paging.table);
    store_kv(part, shape, slots, memory.layer, pool);
    attention.paged(part, shape, {positions, cu, {&table, 1}}, memory.layer, out, pool);
    std::copy_n(out.data(), out.rows() * out.cols(), all.row(begin));
  }
  return all;
}

struct Case {
  int heads, kv_heads, head_dim, tokens, block_size, window;
  KvType type;
  double alibi = 0.0;  // bias_max
};

constexpr Case kCases[] = {
    {3, 1, 64, 40, 16, 0, KvType::kF32},       {9, 3, 64, 530, 16, 0, KvType::kF16},
    {8, 2, 8, 48, 16, 0, KvType::kF32},        {4, 4, 112, 300, 32, 0, KvType::kBF16},
    {4, 1, 128, 270, 64, 100, KvType::kF32},   {7, 1, 6, 33, 256, 5, KvType::kF16},
    {2, 2, 16, 1, 16, 0, KvType::kBF16},       {2, 1, 32, 600, 16, 300, KvType::kF32},
    {2, 2, 112, 260, 16, 0, KvType::kF32, 8},  {3, 3, 64, 270, 16, 0, KvType::kF16, 8},
    {6, 2, 8, 70, 16, 0, KvType::kF32, 16},    {7, 1, 5, 60, 16, 0, KvType::kBF16, 8},
    {3, 3, 37, 90, 32, 0, KvType::kF16, 8},    {5, 5, 128, 40, 16, 0, KvType::kBF16, 2},
    {2, 1, 24, 300, 16, 260, KvType::kF32, 8},
};

std::vector<float> slopes_of(const Case& c) {
  return c.alibi > 0 ? alibi_slopes(c.heads, c.alibi) : std::vector<float>();
}

TEST(Alibi, SlopesOfThePaperForEveryNumberOfHeads) {
  EXPECT_EQ(alibi_slopes(8, 8),
            (std::vector<float>{0.5f, 0.25f, 0.125f, 0x1p-4f, 0x1p-5f, 0x1p-6f, 0x1p-7f, 0x1p-8f}));
  EXPECT_EQ(alibi_slopes(6, 8),
            (std::vector<float>{0.25f, 0x1p-4f, 0x1p-6f, 0x1p-8f, 0.5f, 0x1p-3f}));
  EXPECT_EQ(alibi_slopes(1, 8), std::vector<float>{0x1p-8f});
  EXPECT_EQ(alibi_slopes(2, 16), (std::vector<float>{0x1p-8f, 0x1p-16f}));
  // The form of llama.cpp.
  for (int heads = 1; heads <= 65; ++heads) {
    for (const double bias_max : {8.0, 16.0, 6.5}) {
      int n = 1;
      while (2 * n <= heads) n *= 2;
      const std::vector<float> slopes = alibi_slopes(heads, bias_max);
      ASSERT_EQ(slopes.size(), static_cast<std::size_t>(heads));
      for (int h = 0; h < heads; ++h) {
        const double want = h < n ? std::exp2(-bias_max * (h + 1) / n)
                                  : std::exp2(-bias_max * (2 * (h - n) + 1) / (2 * n));
        ASSERT_FLOAT_EQ(slopes[h], static_cast<float>(want)) << heads << " heads, head " << h;
      }
    }
  }
}

TEST(PagedAttention, EqualsTheFormula) {
  ThreadPool pool(2);
  for (const Case& c : kCases) {
    const std::vector<float> slopes = slopes_of(c);
    const AttentionShape shape{c.heads,    c.kv_heads,
                               c.head_dim, 1.0f / std::sqrt(static_cast<float>(c.head_dim)),
                               c.window,   slopes};
    const Tensor qkv = random_tensor(c.tokens, shape.qkv_size(), 1);
    const Tensor want = reference(qkv, shape, c.type, [&](int t) {
      return std::pair(c.window > 0 ? std::max(0, t + 1 - c.window) : 0, t + 1);
    });
    for (const char* set : instruction_sets()) {
      SCOPED_TRACE(testing::Message()
                   << set << " head_dim " << c.head_dim << " tokens " << c.tokens);
      Attention attention(*cpu::find_attention_kernels(set));
      const Paging paging(c.tokens, c.block_size, 2);
      Memory memory(shape, static_cast<int>(paging.table.size()), c.block_size, c.type);
      expect_near(run_paged(qkv, shape, memory, paging, c.tokens, attention, pool), want, 5e-6f);
    }
  }
}

TEST(PagedAttention, SameBitsForEveryChunkingAndThreadCount) {
  ThreadPool one(1), two(2);
  for (const char* set : instruction_sets()) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(testing::Message()
                   << set << " head_dim " << c.head_dim << " tokens " << c.tokens);
      const std::vector<float> slopes = slopes_of(c);
      const AttentionShape shape{c.heads, c.kv_heads, c.head_dim, 0.125f, c.window, slopes};
      const Tensor qkv = random_tensor(c.tokens, shape.qkv_size(), 3);
      const Paging paging(c.tokens, c.block_size, 4);
      Attention attention(*cpu::find_attention_kernels(set));
      Memory memory(shape, static_cast<int>(paging.table.size()), c.block_size, c.type);
      const Tensor whole = run_paged(qkv, shape, memory, paging, c.tokens, attention, one);
      for (const int chunk : {1, 7, 256, c.tokens}) {
        for (ThreadPool* pool : {&one, &two}) {
          const Tensor got = run_paged(qkv, shape, memory, paging, chunk, attention, *pool);
          for (std::int64_t i = 0; i < got.rows() * got.cols(); ++i) {
            ASSERT_EQ(got.data()[i], whole.data()[i]) << "chunk " << chunk << " element " << i;
          }
        }
      }
    }
  }
}

TEST(PagedAttention, ARowInABatchEqualsTheRowAlone) {
  ThreadPool pool(2);
  Attention attention;
  const AttentionShape shape{6, 2, 64, 0.125f, 0};
  // Three sequences with different histories, decoded or prefilled together.
  const int lengths[] = {300, 17, 90}, fresh[] = {1, 17, 33};
  Memory memory(shape, 64, 16, KvType::kF16);
  std::vector<std::int32_t> tables[3], positions, cu{0};
  std::vector<std::span<const std::int32_t>> views;
  Tensor batch(1 + 17 + 33, shape.qkv_size()), out;
  std::vector<Tensor> alone;
  int next_block = 0;
  for (int s = 0; s < 3; ++s) {
    const Tensor qkv = random_tensor(lengths[s], shape.qkv_size(), 10 + s);
    std::vector<std::int64_t> slots;
    for (int t = 0; t < lengths[s]; ++t) {
      if (t % 16 == 0) tables[s].push_back(next_block++);
      slots.push_back(tables[s].back() * std::int64_t{16} + t % 16);
    }
    store_kv(qkv, shape, slots, memory.layer, pool);
    Tensor last(fresh[s], shape.qkv_size());
    std::copy_n(qkv.row(lengths[s] - fresh[s]), last.rows() * last.cols(), last.data());
    std::copy_n(last.data(), last.rows() * last.cols(), batch.row(cu.back()));
    std::vector<std::int32_t> own;
    for (int t = lengths[s] - fresh[s]; t < lengths[s]; ++t) own.push_back(t);
    const std::int32_t own_cu[] = {0, fresh[s]};
    const std::span<const std::int32_t> view(tables[s]);
    attention.paged(last, shape, {own, own_cu, {&view, 1}}, memory.layer, out, pool);
    alone.emplace_back(out.rows(), out.cols());
    std::copy_n(out.data(), out.rows() * out.cols(), alone.back().data());
    positions.insert(positions.end(), own.begin(), own.end());
    cu.push_back(cu.back() + fresh[s]);
    views.emplace_back(tables[s]);
  }
  attention.paged(batch, shape, {positions, cu, views}, memory.layer, out, pool);
  for (int s = 0; s < 3; ++s) {
    for (std::int64_t i = 0; i < alone[s].rows() * alone[s].cols(); ++i) {
      ASSERT_EQ(out.row(cu[s])[i], alone[s].data()[i]) << "sequence " << s;
    }
  }
}

TEST(BidirectionalAttention, EqualsTheFormulaAndIgnoresNeighbours) {
  ThreadPool pool(2);
  for (const char* set : instruction_sets()) {
    Attention attention(*cpu::find_attention_kernels(set));
    for (const int head_dim : {8, 64, 20}) {
      const AttentionShape shape{4, 4, head_dim, 0.2f, 0};
      const std::vector<std::int32_t> cu{0, 1, 40, 340, 347};
      const Tensor qkv = random_tensor(cu.back(), shape.qkv_size(), 5);
      Tensor out, alone;
      attention.bidirectional(qkv, shape, cu, false, out, pool);
      const Tensor want = reference(qkv, shape, KvType::kF32, [&](int t) {
        const auto next = std::upper_bound(cu.begin(), cu.end(), t);
        return std::pair<int, int>(*(next - 1), *next);
      });
      expect_near(out, want, 5e-6f);

      Tensor part(300, qkv.cols());
      std::copy_n(qkv.row(40), part.rows() * part.cols(), part.data());
      const std::int32_t own_cu[] = {0, 300};
      attention.bidirectional(part, shape, own_cu, false, alone, pool);
      for (std::int64_t i = 0; i < alone.rows() * alone.cols(); ++i) {
        ASSERT_EQ(out.row(40)[i], alone.data()[i]);
      }
    }
  }
}

TEST(BidirectionalAttention, InBf16IsNearAndIgnoresNeighbours) {
  ThreadPool pool(2);
  Attention attention;
  for (const int head_dim : {8, 64, 20}) {
    const AttentionShape shape{4, 4, head_dim, 1.0f / std::sqrt(static_cast<float>(head_dim)), 0};
    const std::vector<std::int32_t> cu{0, 1, 40, 341, 348};
    const Tensor qkv = random_tensor(cu.back(), shape.qkv_size(), 6);
    Tensor out, alone;
    attention.bidirectional(qkv, shape, cu, true, out, pool);
    const Tensor want = reference(qkv, shape, KvType::kF32, [&](int t) {
      const auto next = std::upper_bound(cu.begin(), cu.end(), t);
      return std::pair<int, int>(*(next - 1), *next);
    });
    // Inputs are N(0, 1); bf16 has 8 bits.
    expect_near(out, want, 0.03f);

    Tensor part(301, qkv.cols());
    std::copy_n(qkv.row(40), part.rows() * part.cols(), part.data());
    const std::int32_t own_cu[] = {0, 301};
    attention.bidirectional(part, shape, own_cu, true, alone, pool);
    for (std::int64_t i = 0; i < alone.rows() * alone.cols(); ++i) {
      ASSERT_EQ(out.row(40)[i], alone.data()[i]);
    }
  }
}

TEST(StoreKv, SaturatesF16) {
  ThreadPool pool(1);
  const AttentionShape shape{1, 1, 2, 1.0f, 0};
  Memory memory(shape, 1, 16, KvType::kF16);
  Tensor qkv(1, 6);
  const float row[] = {0, 0, 1e9f, -1e9f, 1.5f, -2.5f};
  std::copy_n(row, 6, qkv.data());
  const std::int64_t slot[] = {3};
  store_kv(qkv, shape, slot, memory.layer, pool);
  const auto* keys = reinterpret_cast<const std::uint16_t*>(memory.layer.keys(0, 0));
  const auto* values = reinterpret_cast<const std::uint16_t*>(memory.layer.values(0, 0));
  EXPECT_EQ(f16_to_f32(keys[3]), 65504.0f);
  EXPECT_EQ(f16_to_f32(keys[16 + 3]), -65504.0f);
  EXPECT_EQ(f16_to_f32(values[3 * 2]), 1.5f);
  EXPECT_EQ(f16_to_f32(values[3 * 2 + 1]), -2.5f);
}

}  // namespace
}  // namespace tessera
