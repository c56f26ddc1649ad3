#include "compute/moe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "compute/kernels.h"

namespace tessera {
namespace {

using Floats = std::vector<float>;

Floats random_floats(std::size_t count, unsigned seed, float scale) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  Floats values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

Tensor matrix(std::int64_t rows, std::int64_t cols, const Floats& values) {
  Tensor x(rows, cols);
  std::copy(values.begin(), values.end(), x.data());
  return x;
}

Routing route_rows(std::int64_t rows, const Floats& logits, int k, std::optional<double> norm) {
  ThreadPool pool(2);
  Routing routing;
  route(matrix(rows, static_cast<std::int64_t>(logits.size()) / rows, logits), k, norm, routing,
        pool);
  return routing;
}

TEST(Route, TakesTheLargestAndDividesByTheirSum) {
  const Routing routing = route_rows(2, {0, 2, 1, -1, 3, 0, 0, 2}, 2, 1.0);
  EXPECT_EQ(routing.experts, (std::vector<std::int32_t>{1, 2, 0, 3}));
  const float e = std::exp(1.0f);
  EXPECT_NEAR(routing.weights[0], e / (e + 1), 1e-6);
  EXPECT_NEAR(routing.weights[1], 1 / (e + 1), 1e-6);
  EXPECT_NEAR(routing.weights[2], e / (e + 1), 1e-6);
}

TEST(Route, KeepsTheSoftmaxOverAllWithoutANorm) {
  const Routing routing = route_rows(1, {std::log(4.0f), std::log(3.0f), std::log(1.0f)}, 2, {});
  EXPECT_NEAR(routing.weights[0], 0.5, 1e-6);
  EXPECT_NEAR(routing.weights[1], 0.375, 1e-6);
}

TEST(Route, DividesByAnyNorm) {
  const Routing two = route_rows(1, {std::log(4.0f), std::log(3.0f), std::log(1.0f)}, 2, 2.0);
  EXPECT_NEAR(two.weights[0], 0.8, 1e-6);
  EXPECT_NEAR(two.weights[1], 0.6, 1e-6);
  const Routing three = route_rows(1, {std::log(2.0f), std::log(2.0f)}, 2, 3.0);
  EXPECT_NEAR(three.weights[0], 1 / std::cbrt(2.0), 1e-6);
}

TEST(Route, TiesGoToTheLowerIndex) {
  EXPECT_EQ(route_rows(1, {1, 1, 1, 1}, 3, 1.0).experts, (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(route_rows(1, {0, 5, 1, 5}, 2, 1.0).experts, (std::vector<std::int32_t>{1, 3}));
}

TEST(Route, TakesAllWhenAsked) {
  const Routing routing = route_rows(1, {0, 1, 2}, 3, 1.0);
  EXPECT_EQ(routing.experts, (std::vector<std::int32_t>{2, 1, 0}));
  EXPECT_NEAR(routing.weights[0] + routing.weights[1] + routing.weights[2], 1.0, 1e-6);
}

TEST(Route, StaysInBoundsForNanAndInfinity) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  for (const Floats& logits : {Floats{nan, nan, nan}, Floats{inf, 0, -inf}, Floats{1, nan, 2}}) {
    const Routing routing = route_rows(1, logits, 2, 1.0);
    EXPECT_NE(routing.experts[0], routing.experts[1]);
    for (const std::int32_t e : routing.experts) EXPECT_TRUE(e >= 0 && e < 3) << e;
  }
}

TEST(Route, RefusesMoreThanThereAre) {
  EXPECT_THROW(route_rows(1, {1, 2}, 3, 1.0), Error);
  EXPECT_THROW(route_rows(1, {1, 2}, 0, 1.0), Error);
}

constexpr int kHidden = 40, kIntermediate = 72, kExperts = 5;

struct Weights {
  std::vector<Floats> gate, up, down;
  std::vector<Expert> experts;

  Weights(WeightFormat format, ThreadPool& pool) {
    for (unsigned e = 0; e < kExperts; ++e) {
      gate.push_back(random_floats(kHidden * kIntermediate, 3 * e, 0.2f));
      up.push_back(random_floats(kHidden * kIntermediate, 3 * e + 1, 0.2f));
      down.push_back(random_floats(kHidden * kIntermediate, 3 * e + 2, 0.2f));
      const auto raw = [](const Floats& values, std::int64_t out, std::int64_t in) {
        return RawTensor{DType::kF32, {out, in}, reinterpret_cast<const std::byte*>(values.data())};
      };
      const RawTensor down_proj = raw(down.back(), kHidden, kIntermediate);
      experts.push_back({Linear::pack_gated(raw(gate.back(), kIntermediate, kHidden),
                                            raw(up.back(), kIntermediate, kHidden), format, pool),
                         Linear::pack({&down_proj, 1}, {}, format, pool)});
    }
  }

  // Straight from the definition, in double.
  std::vector<double> apply(int e, const float* x) const {
    std::vector<double> gated(kIntermediate), y(kHidden);
    for (int i = 0; i < kIntermediate; ++i) {
      double g = 0, u = 0;
      for (int h = 0; h < kHidden; ++h) {
        g += static_cast<double>(gate[e][i * kHidden + h]) * x[h];
        u += static_cast<double>(up[e][i * kHidden + h]) * x[h];
      }
      gated[i] = g / (1 + std::exp(-g)) * u;
    }
    for (int h = 0; h < kHidden; ++h) {
      for (int i = 0; i < kIntermediate; ++i) y[h] += down[e][h * kIntermediate + i] * gated[i];
    }
    return y;
  }
};

Tensor forward(const Floats& x, std::int64_t rows, const Routing& routing, const Weights& weights,
               ThreadPool& pool) {
  MixtureOfExperts moe;
  Tensor y = matrix(rows, kHidden, Floats(static_cast<std::size_t>(rows) * kHidden, 0.25f));
  moe.forward_add(matrix(rows, kHidden, x), routing, weights.experts, Gate::kSilu, y, pool);
  return y;
}

TEST(MixtureOfExperts, EqualsTheDefinition) {
  ThreadPool pool(2);
  const Weights weights(WeightFormat::kF32, pool);
  for (const std::int64_t rows : {1, 2, 7, 33}) {
    const Floats x = random_floats(static_cast<std::size_t>(rows) * kHidden, 99, 1.0f);
    const Floats logits = random_floats(static_cast<std::size_t>(rows) * kExperts, 7, 1.0f);
    const Routing routing = route_rows(rows, logits, 3, 1.0);
    const Tensor y = forward(x, rows, routing, weights, pool);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::vector<double> want(kHidden, 0.25);
      for (int i = 0; i < 3; ++i) {
        const auto place = static_cast<std::size_t>(r * 3 + i);
        const auto part = weights.apply(routing.experts[place], x.data() + r * kHidden);
        for (int h = 0; h < kHidden; ++h) want[h] += routing.weights[place] * part[h];
      }
      for (int h = 0; h < kHidden; ++h) EXPECT_NEAR(y.row(r)[h], want[h], 2e-5) << r << " " << h;
    }
  }
}

TEST(MixtureOfExperts, ARowInABatchHasTheBitsOfTheRowAlone) {
  for (const WeightFormat format :
       {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kInt8, WeightFormat::kInt4}) {
    ThreadPool one(1), two(2);
    const Weights weights(format, one);
    constexpr std::int64_t kRows = 21;
    const Floats x = random_floats(kRows * kHidden, 5, 1.0f);
    const Floats logits = random_floats(kRows * kExperts, 6, 1.0f);
    const Routing all = route_rows(kRows, logits, 2, 1.0);
    const Tensor batch = forward(x, kRows, all, weights, two);
    for (std::int64_t r = 0; r < kRows; ++r) {
      const Floats row(x.begin() + r * kHidden, x.begin() + (r + 1) * kHidden);
      const Floats row_logits(logits.begin() + r * kExperts, logits.begin() + (r + 1) * kExperts);
      const Routing routing = route_rows(1, row_logits, 2, 1.0);
      const Tensor alone = forward(row, 1, routing, weights, one);
      EXPECT_TRUE(std::equal(alone.data(), alone.data() + kHidden, batch.row(r))) << "row " << r;
    }
  }
}

TEST(MixtureOfExperts, TakesNoRows) {
  ThreadPool pool(1);
  const Weights weights(WeightFormat::kF32, pool);
  Routing routing;
  routing.experts_per_tok = 2;
  EXPECT_EQ(forward({}, 0, routing, weights, pool).rows(), 0);
  routing.experts = {0};
  EXPECT_THROW(forward(Floats(kHidden), 1, routing, weights, pool), Error);
}

}  // namespace
}  // namespace tessera
