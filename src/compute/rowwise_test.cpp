// Norms, activations, pooling and rotary tables against their formulas in f64, on every instruction
// set of this machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "compute/activation.h"
#include "compute/cpu/attention_kernels.h"
#include "compute/norm.h"
#include "compute/pooling.h"
#include "compute/rotary.h"

namespace tessera {
namespace {

std::vector<const cpu::AttentionKernels*> all_kernels() {
  std::vector<const cpu::AttentionKernels*> sets;
  for (const char* name : {"generic", "avx2", "avx512"}) {
    if (const auto* kernels = cpu::find_attention_kernels(name)) sets.push_back(kernels);
  }
  return sets;
}

std::vector<float> random_vector(int count, float mean, float deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> x(count);
  for (float& v : x) v = normal(random);
  return x;
}

TEST(Norm, EqualsTheFormulaForEveryWidth) {
  for (const auto* kernels : all_kernels()) {
    for (const int n : {1, 7, 16, 48, 64, 100, 576, 1024}) {
      const auto x = random_vector(n, 0.7f, 2.0f, n), w = random_vector(n, 1.0f, 0.1f, n + 1),
                 b = random_vector(n, 0.0f, 0.1f, n + 2);
      double mean = 0, squares = 0, variance = 0;
      for (const float v : x) mean += v / static_cast<double>(n);
      for (const float v : x) {
        squares += static_cast<double>(v) * v / n;
        variance += (v - mean) * (v - mean) / n;
      }
      std::vector<float> y(n);
      kernels->rms_norm(x.data(), w.data(), 1e-5f, y.data(), n);
      for (int i = 0; i < n; ++i) {
        ASSERT_NEAR(y[i], x[i] / std::sqrt(squares + 1e-5) * w[i], 3e-6) << n;
      }
      kernels->layer_norm(x.data(), w.data(), b.data(), 1e-5f, y.data(), n);
      for (int i = 0; i < n; ++i) {
        ASSERT_NEAR(y[i], (x[i] - mean) / std::sqrt(variance + 1e-5) * w[i] + b[i], 5e-6) << n;
      }
      kernels->layer_norm(x.data(), w.data(), nullptr, 1e-5f, y.data(), n);
      ASSERT_NEAR(y[0], (x[0] - mean) / std::sqrt(variance + 1e-5) * w[0], 5e-6) << n;
    }
  }
}

TEST(Norm, OfSomeColumnsLeavesTheOthersAlone) {
  ThreadPool pool(2);
  Tensor x(3, 100), part(3, 48), want;
  for (int i = 0; i < 300; ++i) x.data()[i] = static_cast<float>(i % 37) - 11.0f;
  const auto w = random_vector(48, 1.0f, 0.1f, 1), b = random_vector(48, 0.0f, 0.1f, 2);
  for (int r = 0; r < 3; ++r) std::copy_n(x.row(r) + 20, 48, part.row(r));
  layer_norm(part, w, b, 1e-5f, want, pool);
  layer_norm_columns(x, 20, w, b, 1e-5f, pool);
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 100; ++c) {
      const bool inside = c >= 20 && c < 68;
      ASSERT_EQ(x.row(r)[c], inside ? want.row(r)[c - 20] : float((r * 100 + c) % 37) - 11.0f);
    }
  }
}

TEST(Activation, ClampsBothSides) {
  ThreadPool pool(2);
  Tensor x(3, 7000);
  for (std::int64_t i = 0; i < 21000; ++i) x.data()[i] = static_cast<float>(i - 10500) * 1e-3f;
  x.data()[5] = NAN;
  x.data()[6] = INFINITY;
  clamp(x, 1.5f, pool);
  EXPECT_TRUE(std::isnan(x.data()[5]));
  EXPECT_EQ(x.data()[6], 1.5f);
  for (std::int64_t i = 7; i < 21000; ++i) {
    ASSERT_EQ(x.data()[i], std::clamp(static_cast<float>(i - 10500) * 1e-3f, -1.5f, 1.5f)) << i;
  }
}

TEST(Activation, EqualsTheFormulaOverItsRange) {
  std::vector<float> x;
  for (int i = -12000; i <= 12000; ++i) x.push_back(static_cast<float>(i) * 1e-3f);
  x.insert(x.end(), {-1e30f, -200.0f, -90.0f, 90.0f, 1e30f, 0.0f});
  const auto n = static_cast<std::int64_t>(x.size());
  const std::vector<float> up(x.size(), 2.0f);
  for (const auto* kernels : all_kernels()) {
    auto erf = x, tanh = x;
    std::vector<float> silu(x.size());
    kernels->gelu(erf.data(), n);
    kernels->gelu_tanh(tanh.data(), n);
    kernels->silu_mul(x.data(), up.data(), silu.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double z = x[i], tolerance = 2e-7 * std::max(1.0, std::fabs(z));
      ASSERT_NEAR(erf[i], z * 0.5 * std::erfc(-z / std::numbers::sqrt2), tolerance) << z;
      const double u = std::sqrt(2 / std::numbers::pi) * (z + 0.044715 * z * z * z);
      ASSERT_NEAR(tanh[i], z / (1 + std::exp(-2 * u)), tolerance) << z;
      ASSERT_NEAR(silu[i], 2 * z / (1 + std::exp(-z)), 2 * tolerance) << z;
    }
  }
}

TEST(Activation, WorksOnWholeMatrices) {
  ThreadPool pool(2);
  Tensor x(70, 333), y;
  for (std::int64_t i = 0; i < 70 * 333; ++i) x.data()[i] = static_cast<float>(i % 17) - 8.0f;
  gelu(x, pool);
  for (std::int64_t i = 0; i < 70 * 333; ++i) {
    const double z = static_cast<double>(i % 17) - 8.0;
    ASSERT_NEAR(x.data()[i], z * 0.5 * std::erfc(-z / std::numbers::sqrt2), 2e-6);
  }
  Tensor gate_up(2, 6);
  for (int i = 0; i < 12; ++i) gate_up.data()[i] = static_cast<float>(i);
  silu_mul(gate_up, y, pool);
  ASSERT_EQ(y.cols(), 3);
  EXPECT_NEAR(y.row(0)[1], 4 * 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(y.row(1)[2], 11 * 8 / (1 + std::exp(-8.0)), 1e-4);
}

TEST(Rotate, PairsHalvesOrNeighbours) {
  const float cosine[] = {0.5f, -0.25f}, sine[] = {0.75f, 2.0f};
  for (const auto* kernels : all_kernels()) {
    float half[] = {1, 2, 3, 4}, pairs[] = {1, 2, 3, 4};
    kernels->rotate(half, cosine, sine, 2, false);
    EXPECT_FLOAT_EQ(half[0], 1 * 0.5f - 3 * 0.75f);
    EXPECT_FLOAT_EQ(half[2], 3 * 0.5f + 1 * 0.75f);
    EXPECT_FLOAT_EQ(half[1], 2 * -0.25f - 4 * 2.0f);
    EXPECT_FLOAT_EQ(half[3], 4 * -0.25f + 2 * 2.0f);
    kernels->rotate(pairs, cosine, sine, 2, true);
    EXPECT_FLOAT_EQ(pairs[0], 1 * 0.5f - 2 * 0.75f);
    EXPECT_FLOAT_EQ(pairs[1], 2 * 0.5f + 1 * 0.75f);
    EXPECT_FLOAT_EQ(pairs[2], 3 * -0.25f - 4 * 2.0f);
    EXPECT_FLOAT_EQ(pairs[3], 4 * -0.25f + 3 * 2.0f);
  }
}

TEST(Rope, Frequencies) {
  const auto plain = rope_frequencies(10000.0, {}, 8);
  EXPECT_FLOAT_EQ(plain[0], 1.0f);
  EXPECT_NEAR(plain[1], std::pow(10000.0, -0.25), 1e-8);
  EXPECT_NEAR(plain[3], std::pow(10000.0, -0.75), 1e-9);

  RopeScaling scaling;
  scaling.factor = 4.0;
  scaling.type = RopeType::kLinear;
  EXPECT_FLOAT_EQ(rope_frequencies(10000.0, scaling, 8)[1], plain[1] / 4);

  // Dynamic: untouched up to M, stretched beyond.
  scaling.type = RopeType::kDynamic;
  EXPECT_EQ(rope_frequencies(10000.0, scaling, 8, 100, 100), plain);
  const double theta = 10000.0 * std::pow(4.0 * 200 / 100 - 3.0, 8.0 / 6.0);
  EXPECT_NEAR(rope_frequencies(10000.0, scaling, 8, 200, 100)[1], std::pow(theta, -0.25), 1e-7);

  // Llama 3: wavelengths 2 pi theta^(n/4) of 6.3, 29.7, 140 and 664 with theta 500.
  scaling = {.type = RopeType::kLlama3, .factor = 8.0, .original_max_position_embeddings = 32};
  const auto base = rope_frequencies(500.0, {}, 8), llama3 = rope_frequencies(500.0, scaling, 8);
  EXPECT_FLOAT_EQ(llama3[0], base[0]);
  EXPECT_GT(llama3[1], base[1] / 8);
  EXPECT_LT(llama3[1], base[1]);
  EXPECT_FLOAT_EQ(llama3[2], base[2] / 8);
  EXPECT_FLOAT_EQ(llama3[3], base[3] / 8);

  scaling = {.type = RopeType::kYarn, .factor = 4.0, .original_max_position_embeddings = 32};
  EXPECT_NEAR(rope_attention_factor(scaling), 0.1 * std::log(4.0) + 1.0, 1e-7);
  scaling.attention_factor = 1.25;
  EXPECT_FLOAT_EQ(rope_attention_factor(scaling), 1.25f);

  // GTE: the first frequency is not 1.
  scaling = {.type = RopeType::kNtk, .factor = 2.0};
  EXPECT_NEAR(rope_frequencies(500.0, scaling, 8)[0], std::pow(2.0, -0.25), 1e-7);
}

TEST(Rope, TableGrowsAndKeepsItsRows) {
  RotaryTable table(rope_frequencies(10000.0, {}, 4), 1.5f);
  table.ensure(1);
  const float* first = table.row(0);
  table.ensure(1000);
  EXPECT_EQ(table.row(0), first);
  EXPECT_FLOAT_EQ(first[0], 1.5f);
  EXPECT_FLOAT_EQ(first[2], 0.0f);
  EXPECT_NEAR(table.row(777)[0], 1.5 * std::cos(777.0), 1e-6);
  EXPECT_NEAR(table.row(777)[3], 1.5 * std::sin(777.0 * static_cast<double>(0.01f)), 1e-6);
}

TEST(Pooling, FirstLastMeanAndNormalize) {
  Tensor x(3, 2), y;
  const float values[] = {1, 2, 3, 4, 5, 10};
  std::copy_n(values, 6, x.data());
  const std::int32_t cu[] = {0, 1, 3};
  pool_first(x, cu, y);
  EXPECT_EQ(y.rows(), 2);
  EXPECT_EQ(y.row(1)[1], 4.0f);
  pool_last(x, cu, y);
  EXPECT_EQ(y.row(1)[1], 10.0f);
  EXPECT_EQ(y.row(0)[0], 1.0f);
  pool_mean(x, cu, y);
  EXPECT_EQ(y.row(1)[0], 4.0f);
  EXPECT_EQ(y.row(1)[1], 7.0f);
  float v[] = {3, 4};
  l2_normalize(v);
  EXPECT_FLOAT_EQ(v[0], 0.6f);
  float zero[] = {0, 0};
  l2_normalize(zero);
  EXPECT_EQ(zero[0], 0.0f);
}

}  // namespace
}  // namespace tessera
