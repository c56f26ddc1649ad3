#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "engine/random.h"
#include "engine/vocabulary_passes.h"

namespace tessera {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(int n, unsigned seed, float spread = 3.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(n);
  for (float& z : logits) z = normal(random);
  return logits;
}

// The definition of data-plane 2.14, in double and by sorting everything.
struct Reference {
  std::map<std::int32_t, double> kept;  // probability of each token that may be drawn
  double margin = 1e9;                  // how far, relatively, a decision was from its border
};

Reference reference(std::vector<float> z, const SamplingParams& p) {
  const double t = std::max(p.temperature, 0.01f);
  const double max = *std::max_element(z.begin(), z.end());
  std::vector<std::pair<double, std::int32_t>> order;  // (weight, id)
  for (std::size_t i = 0; i < z.size(); ++i) {
    order.emplace_back(std::exp((z[i] - max) / t), static_cast<std::int32_t>(i));
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  });
  Reference result;
  const auto cut_below = [&](double least) {
    std::size_t n = 0;
    while (n < order.size() && order[n].first >= least) ++n;
    if (n < order.size()) result.margin = std::min(result.margin, 1 - order[n].first / least);
    if (n > 0) result.margin = std::min(result.margin, order[n - 1].first / least - 1);
    order.resize(std::max<std::size_t>(1, n));
  };
  if (p.min_p > 0) cut_below(p.min_p);
  if (p.top_k > 0 && p.top_k < static_cast<int>(order.size())) {
    const double kth = order[p.top_k - 1].first;
    std::size_t n = p.top_k;
    while (n < order.size() && order[n].first == kth) ++n;  // ties may keep more
    order.resize(n);
  }
  if (p.top_p < 1) {
    double total = 0, before = 0;
    for (const auto& [w, id] : order) total += w;
    std::size_t n = 0;
    while (n < order.size() && before < p.top_p * total) {
      before += order[n++].first;
      result.margin = std::min(result.margin, std::abs(before / (p.top_p * total) - 1));
    }
    order.resize(n);
  }
  double total = 0;
  for (const auto& [w, id] : order) total += w;
  for (const auto& [w, id] : order) result.kept[id] = w / total;
  return result;
}

std::int32_t choose(std::vector<float> logits, const SamplingParams& params,
                    SampleContext context = {}) {
  Sampler sampler;
  return sampler.sample(logits, params, context).token_id;
}

std::optional<ErrorKind> failure_of(std::vector<float> logits, const SamplingParams& params) {
  try {
    Sampler().sample(logits, params, {});
  } catch (const Error& error) {
    return error.kind;
  }
  return std::nullopt;
}

TEST(Philox, MatchesThePublishedVectors) {
  // kat_vectors of the Random123 distribution, philox4x32 with 10 rounds.
  using Four = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(VocabularyPasses, ExponentialsAreAccurate) {
  std::vector<float> logits, out;
  for (float x = 0; x > -90; x -= 0.0137f) logits.push_back(x);
  out.resize(logits.size());
  exp_scaled(logits.data(), static_cast<int>(logits.size()), 0, 1, out.data());
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double expected = logits[i] > -87 ? std::exp(static_cast<double>(logits[i])) : 0;
    EXPECT_NEAR(out[i], expected, 3e-7 * expected) << logits[i];
    sum += expected;
  }
  std::vector<double> sums(logits.size() / kSumBlock + 1);
  EXPECT_NEAR(exp_block_sums(logits.data(), static_cast<int>(logits.size()), 0, 1, sums.data()),
              sum, 1e-6 * sum);
}

TEST(VocabularyPasses, MaximaOfEveryLength) {
  for (int n : {1, 15, 16, 63, 64, 65, 127, 128, 1000}) {
    const auto logits = random_logits(n, n);
    std::vector<float> maxima((n + kMaxBlock - 1) / kMaxBlock);
    const auto row = block_maxima(logits.data(), n, maxima.data());
    EXPECT_EQ(row.value, *std::max_element(logits.begin(), logits.end())) << n;
    EXPECT_FALSE(row.has_nan);
    for (std::size_t b = 0; b < maxima.size(); ++b) {
      const auto begin = logits.begin() + b * kMaxBlock;
      const auto end = logits.begin() + std::min<std::size_t>(n, (b + 1) * kMaxBlock);
      EXPECT_EQ(maxima[b], *std::max_element(begin, end));
    }
    for (int nan_at : {0, n / 2, n - 1}) {
      auto broken = logits;
      broken[nan_at] = std::nanf("");
      EXPECT_TRUE(block_maxima(broken.data(), n, maxima.data()).has_nan) << n << " " << nan_at;
    }
  }
}

TEST(Sampler, GreedyTakesTheLowestIdOfATie) {
  SamplingParams params;
  params.temperature = 0;
  std::vector<float> logits(500, 1.0f);
  logits[77] = logits[300] = logits[499] = 2.0f;
  EXPECT_EQ(choose(logits, params), 77);
  params.temperature = 1;
  params.top_k = 1;
  EXPECT_EQ(choose(logits, params), 77);
}

TEST(Sampler, NotANumberFailsAndMinusInfinityIsNeverChosen) {
  SamplingParams params;
  std::vector<float> logits = {1, std::nanf(""), 2};
  EXPECT_EQ(failure_of(logits, params), ErrorKind::kEngineFailure);
  logits = {1, kInfinity, 2};
  EXPECT_EQ(failure_of(logits, params), ErrorKind::kEngineFailure);
  logits = {-kInfinity, -kInfinity, -kInfinity};
  EXPECT_TRUE(failure_of(logits, params));
  for (int step = 0; step < 100; ++step) {
    std::vector<std::int32_t> output(step);
    EXPECT_EQ(choose({-kInfinity, 0, -kInfinity}, params, {output, {}, nullptr, 3}), 1);
  }
}

TEST(Sampler, MasksThatLeaveNothingAreTheRequestsError) {
  SamplingParams params;
  params.allowed_token_ids = {1};
  params.bad_words = {{1}};
  std::vector<float> logits = {1, 2, 3};
  EXPECT_EQ(failure_of(logits, params), ErrorKind::kBadValue);
}

TEST(Sampler, KeepsTheSameTokensAsTheDefinition) {
  struct Case {
    float temperature, top_p;
    int top_k;
    float min_p;
  };
  const Case cases[] = {{1, 1, 0, 0},      {0.7f, 0.9f, 0, 0},    {1.5f, 0.5f, 0, 0},
                        {1, 1, 5, 0},      {1, 1, 40, 0},         {1, 1, 700, 0},
                        {1, 0.8f, 50, 0},  {1, 1, 0, 0.1f},       {0.8f, 0.95f, 40, 0.05f},
                        {2, 0.99f, 0, 0},  {1, 0.01f, 0, 0},      {1, 1, 0, 1},
                        {0.005f, 1, 0, 0}, {1, 0.999f, 0, 0.001f}};
  int compared = 0;
  for (unsigned seed = 0; seed < 6; ++seed) {
    for (const auto& c : cases) {
      const auto logits = random_logits(1777, seed, 1 + seed % 3);
      SamplingParams params;
      params.temperature = c.temperature;
      params.top_p = c.top_p;
      params.top_k = c.top_k;
      params.min_p = c.min_p;
      const Reference expected = reference(logits, params);
      if (expected.margin < 1e-5) continue;  // rounding may decide either way
      ++compared;
      // The draw must be the inverse of the reference's distribution at the same random number.
      for (int step = 0; step < 60; ++step) {
        std::vector<std::int32_t> output(step);
        const double random = uniform(seed, step);
        double mass = 0;
        std::int32_t wanted = -1;
        bool is_near_border = false;
        for (const auto& [id, probability] : expected.kept) {
          mass += probability;
          is_near_border |= std::abs(mass - random) < 1e-5;
          if (mass > random && wanted < 0) wanted = id;
        }
        const auto got = choose(logits, params, {output, {}, nullptr, seed});
        ASSERT_TRUE(expected.kept.count(got)) << "token outside the kept set";
        if (!is_near_border) {
          EXPECT_EQ(got, wanted);
        }
      }
    }
  }
  EXPECT_GT(compared, 60);
}

TEST(Sampler, TopKKeepsTies) {
  SamplingParams params;
  params.top_k = 2;
  std::set<std::int32_t> seen;
  for (int step = 0; step < 300; ++step) {
    std::vector<std::int32_t> output(step);
    seen.insert(choose({0, 5, 4, 4, 4, 0}, params, {output, {}, nullptr, 9}));
  }
  EXPECT_EQ(seen, (std::set<std::int32_t>{1, 2, 3, 4}));
}

TEST(Sampler, TopPKeepsTheTokenThatCrossesAndPrefersLowIdsOfATie) {
  SamplingParams params;
  params.top_p = 0.5f;
  std::set<std::int32_t> seen;
  for (int step = 0; step < 300; ++step) {
    std::vector<std::int32_t> output(step);
    // Weights 1/4 each: the mass before the third token is exactly one half.
    seen.insert(choose({1, 1, 1, 1}, params, {output, {}, nullptr, 4}));
  }
  EXPECT_EQ(seen, (std::set<std::int32_t>{0, 1}));
}

TEST(Sampler, EditsInTheOrderOfTheSpecification) {
  SamplingParams params;
  params.temperature = 0;
  const std::vector<std::int32_t> prompt = {2}, output = {3, 3};
  TokenCounts counts;
  counts.add_prompt(prompt);
  for (std::int32_t id : output) counts.add_output(id);
  const std::vector<std::int32_t> ends = {0};
  const auto edited = [&](const SamplingParams& p, std::vector<float> logits) {
    Sampler sampler;
    sampler.sample(logits, p, {output, ends, uses_penalties(p) ? &counts : nullptr, 0});
    return logits;
  };
  const std::vector<float> z = {1, 2, 4, -4, 0};

  params.repetition_penalty = 2;  // prompt and output; divides above zero, multiplies below
  EXPECT_EQ(edited(params, z), (std::vector<float>{1, 2, 2, -8, 0}));
  params.repetition_penalty = 1;
  params.frequency_penalty = 0.5f;  // output only, by count
  params.presence_penalty = 0.25f;
  EXPECT_EQ(edited(params, z), (std::vector<float>{1, 2, 4, -5.25f, 0}));
  params.repetition_penalty = 2;  // before the others
  EXPECT_EQ(edited(params, z), (std::vector<float>{1, 2, 2, -9.25f, 0}));
  params.logit_bias = {{3, 10.0f}};  // before the penalties: (-4 + 10) / 2 - 1.25
  EXPECT_EQ(edited(params, z), (std::vector<float>{1, 2, 2, 1.75f, 0}));

  SamplingParams masks;
  masks.temperature = 0;
  masks.min_tokens = 3;
  EXPECT_EQ(edited(masks, z), (std::vector<float>{-kInfinity, 2, 4, -4, 0}));
  masks.min_tokens = 2;  // reached
  EXPECT_EQ(edited(masks, z), z);
  masks.bad_words = {{3, 2}, {4, 1}, {3, 3, 4}, {3, 3, 3, 0}};
  EXPECT_EQ(edited(masks, z), (std::vector<float>{1, 2, -kInfinity, -4, -kInfinity}));
  masks.bad_words.clear();
  masks.allowed_token_ids = {4, 1, 4};
  EXPECT_EQ(edited(masks, z), (std::vector<float>{-kInfinity, 2, -kInfinity, -kInfinity, 0}));
}

TEST(Sampler, LogprobsAreOfTheRawDistribution) {
  const auto logits = random_logits(3000, 5);
  double sum = 0;
  for (float z : logits) sum += std::exp(static_cast<double>(z));
  const double lse = std::log(sum);
  std::vector<std::int32_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  std::sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });

  SamplingParams params;
  params.temperature = 0;
  params.logit_bias = {{order[5], 100.0f}};
  for (int k : {0, 1, 5, 20, 60, 3000, 4000}) {
    params.logprobs = k;
    Sampler sampler;
    auto copy = logits;
    const auto result = sampler.sample(copy, params, {});
    EXPECT_EQ(result.token_id, order[5]);
    EXPECT_NEAR(result.logprob, logits[order[5]] - lse, 1e-5);
    ASSERT_EQ(result.top.size(), std::min<std::size_t>(k, logits.size()));
    for (std::size_t i = 0; i < result.top.size(); ++i) {
      EXPECT_EQ(result.top[i].token_id, order[i]);
      EXPECT_NEAR(result.top[i].logprob, logits[order[i]] - lse, 1e-5);
    }
  }
  Sampler sampler;
  const auto prompt = sampler.prompt_logprob(logits, order[9], 2);
  EXPECT_NEAR(*prompt.logprob, logits[order[9]] - lse, 1e-5);
  EXPECT_EQ(prompt.top[1].token_id, order[1]);
}

TEST(Sampler, TheDrawDependsOnKeyAndStepOnly) {
  const auto logits = random_logits(4000, 8, 1.0f);
  SamplingParams params;
  Sampler used;
  std::set<std::int32_t> seen;
  for (int step = 0; step < 50; ++step) {
    std::vector<std::int32_t> output(step);
    auto copy = logits;
    const auto id = used.sample(copy, params, {output, {}, nullptr, 42}).token_id;
    EXPECT_EQ(id, choose(logits, params, {output, {}, nullptr, 42}));
    seen.insert(id);
  }
  EXPECT_GT(seen.size(), 30u);
}

TEST(Sampler, DrawsWithTheRightFrequencies) {
  SamplingParams params;
  params.temperature = 2;
  const std::vector<float> logits = {0, 1, 2, 3};
  const Reference expected = reference(logits, params);
  std::map<std::int32_t, int> counts;
  constexpr int kDraws = 20'000;
  std::vector<std::int32_t> output;
  for (int step = 0; step < kDraws; ++step) {
    ++counts[choose(
        logits, params,
        {{output.data(), output.size()}, {}, nullptr, static_cast<std::uint64_t>(step)})];
  }
  for (const auto& [id, p] : expected.kept) {
    // Five standard deviations of a binomial.
    EXPECT_NEAR(counts[id], kDraws * p, 5 * std::sqrt(kDraws * p * (1 - p))) << id;
  }
}

}  // namespace
}  // namespace tessera
