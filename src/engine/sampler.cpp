#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "engine/random.h"
#include "engine/vocabulary_passes.h"

namespace tessera {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Temperatures in (0, 0.01) would overflow the scaled logits; vLLM raises them likewise.
constexpr float kLowestTemperature = 0.01f;

bool is_greedy(const SamplingParams& params) {
  return params.temperature == 0.0f || params.top_k == 1;
}

Error not_a_number() {
  return Error(ErrorKind::kEngineFailure, "the model produced logits that are not numbers");
}

// The last token of every forbidden sequence whose beginning was just generated.
template <class Mask>
void mask_bad_words(const SamplingParams& params, std::span<const std::int32_t> output,
                    const Mask& mask) {
  for (const auto& word : params.bad_words) {
    if (word.empty() || word.size() - 1 > output.size()) continue;
    if (std::equal(word.begin(), word.end() - 1, output.end() - (word.size() - 1))) {
      mask(word.back());
    }
  }
}

void apply_penalties(std::span<float> logits, const SamplingParams& params,
                     const TokenCounts& counts) {
  for (const auto& [id, output_count] : counts.entries()) {
    if (static_cast<std::size_t>(id) >= logits.size()) continue;
    float& z = logits[id];
    if (params.repetition_penalty != 1.0f) {
      z = z > 0 ? z / params.repetition_penalty : z * params.repetition_penalty;
    }
    if (output_count > 0) {
      z -= params.frequency_penalty * static_cast<float>(output_count) + params.presence_penalty;
    }
  }
}

}  // namespace

TokenCounts::Entry& TokenCounts::entry(std::int32_t token_id) {
  const auto [found, is_new] = index_.try_emplace(token_id, static_cast<int>(entries_.size()));
  if (is_new) entries_.push_back({token_id, 0});
  return entries_[found->second];
}

void TokenCounts::add_prompt(std::span<const std::int32_t> token_ids) {
  for (std::int32_t id : token_ids) entry(id);
}

void TokenCounts::add_output(std::int32_t token_id) { ++entry(token_id).output_count; }

bool uses_penalties(const SamplingParams& params) {
  return params.repetition_penalty != 1.0f || params.frequency_penalty != 0.0f ||
         params.presence_penalty != 0.0f;
}

SampledToken Sampler::sample(std::span<float> logits, const SamplingParams& params,
                             const SampleContext& context) {
  const int n = static_cast<int>(logits.size());
  maxima_.resize((n + kMaxBlock - 1) / kMaxBlock);
  RowMaximum row = block_maxima(logits.data(), n, maxima_.data());
  // The test also refuses +inf: probabilities would be inf/inf.
  if (row.has_nan || row.value == std::numeric_limits<float>::infinity()) throw not_a_number();

  SampledToken result;
  double lse = 0;
  if (params.logprobs) {
    raw_.assign(logits.begin(), logits.end());
    lse = log_sum_exp(raw_, row.value);
    top_tokens(raw_, *params.logprobs, lse, result.top);
  }

  const auto in_vocabulary = [n](std::int32_t id) { return id >= 0 && id < n; };
  const auto mask = [&](std::int32_t id) {
    if (in_vocabulary(id)) logits[id] = kMasked;
  };
  if (!params.allowed_token_ids.empty()) {
    saved_.clear();
    for (std::int32_t id : params.allowed_token_ids) {
      if (in_vocabulary(id)) saved_.emplace_back(id, logits[id]);
    }
    std::fill(logits.begin(), logits.end(), kMasked);
    for (const auto& [id, z] : saved_) logits[id] = z;
  }
  mask_bad_words(params, context.output_token_ids, mask);
  const int step = static_cast<int>(context.output_token_ids.size());
  if (step < params.min_tokens) {
    for (std::int32_t id : context.end_token_ids) mask(id);
  }
  for (const auto& [id, bias] : params.logit_bias) {
    if (in_vocabulary(id)) logits[id] += bias;
  }
  if (context.counts != nullptr) apply_penalties(logits, params, *context.counts);

  const bool is_edited = !params.allowed_token_ids.empty() || !params.bad_words.empty() ||
                         step < params.min_tokens || !params.logit_bias.empty() ||
                         context.counts != nullptr;
  if (is_edited) row = block_maxima(logits.data(), n, maxima_.data());
  if (row.value == kMasked) {
    throw Error(ErrorKind::kBadValue,
                "no token is left to choose from: allowed_token_ids, bad_words, min_tokens and "
                "logit_bias together exclude the whole vocabulary");
  }

  result.token_id = is_greedy(params) ? first_maximum(logits, row.value)
                                      : draw(logits, row.value, params, uniform(context.key, step));
  if (params.logprobs) result.logprob = static_cast<float>(raw_[result.token_id] - lse);
  return result;
}

PromptLogprob Sampler::prompt_logprob(std::span<const float> logits, std::int32_t token_id,
                                      int top) {
  const int n = static_cast<int>(logits.size());
  maxima_.resize((n + kMaxBlock - 1) / kMaxBlock);
  const RowMaximum row = block_maxima(logits.data(), n, maxima_.data());
  if (row.has_nan || !std::isfinite(row.value)) throw not_a_number();
  const double lse = log_sum_exp(logits, row.value);
  PromptLogprob result;
  if (token_id >= 0 && token_id < n) result.logprob = static_cast<float>(logits[token_id] - lse);
  top_tokens(logits, top, lse, result.top);
  return result;
}

double Sampler::log_sum_exp(std::span<const float> logits, float max) {
  const int n = static_cast<int>(logits.size());
  sums_.resize((n + kSumBlock - 1) / kSumBlock);
  return max + std::log(exp_block_sums(logits.data(), n, max, 1.0f, sums_.data()));
}

// A lower bound of the k-th largest logit first: k blocks have a maximum of at least the k-th
// largest block maximum. Few logits reach it.
float Sampler::kth_largest(std::span<const float> logits, int k) {
  values_.clear();
  if (k <= static_cast<int>(maxima_.size())) {
    values_.assign(maxima_.begin(), maxima_.end());
    std::nth_element(values_.begin(), values_.begin() + (k - 1), values_.end(), std::greater<>());
    collect(logits, values_[k - 1]);
    values_.clear();
    for (std::int32_t id : ids_) values_.push_back(logits[id]);
  } else {
    values_.assign(logits.begin(), logits.end());
  }
  std::nth_element(values_.begin(), values_.begin() + (k - 1), values_.end(), std::greater<>());
  return values_[k - 1];
}

// ids_: all tokens with a logit of at least `cut`, ascending; maxima_ must belong to the row.
void Sampler::collect(std::span<const float> logits, float cut) {
  ids_.clear();
  const int n = static_cast<int>(logits.size());
  for (int block = 0; block < static_cast<int>(maxima_.size()); ++block) {
    if (maxima_[block] < cut) continue;
    const int end = std::min(n, (block + 1) * kMaxBlock);
    for (int i = block * kMaxBlock; i < end; ++i) {
      if (logits[i] >= cut) ids_.push_back(i);
    }
  }
}

void Sampler::top_tokens(std::span<const float> logits, int k, double lse,
                         std::vector<TokenLogprob>& out) {
  k = std::min<int>(k, static_cast<int>(logits.size()));
  if (k <= 0) return;
  collect(logits, kth_largest(logits, k));
  std::partial_sort(ids_.begin(), ids_.begin() + k, ids_.end(),
                    [&](std::int32_t a, std::int32_t b) {
                      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
                    });
  out.reserve(k);
  for (int i = 0; i < k; ++i) {
    out.push_back({ids_[i], static_cast<float>(logits[ids_[i]] - lse)});
  }
}

std::int32_t Sampler::first_maximum(std::span<const float> logits, float max) const {
  const auto block = std::find(maxima_.begin(), maxima_.end(), max);
  const auto begin = logits.begin() + (block - maxima_.begin()) * kMaxBlock;
  return static_cast<std::int32_t>(std::find(begin, logits.end(), max) - logits.begin());
}

std::int32_t Sampler::draw(std::span<const float> logits, float max, const SamplingParams& params,
                           double random) {
  const int n = static_cast<int>(logits.size());
  const float temperature = std::max(params.temperature, kLowestTemperature);
  const float scale = 1.0f / temperature;

  // Every filter keeps the tokens above some logit, so the strictest of them is the only one left.
  float cut = kMasked;
  if (params.min_p > 0) cut = max + temperature * std::log(params.min_p);
  if (params.top_k > 0 && params.top_k < n) cut = std::max(cut, kth_largest(logits, params.top_k));
  const bool is_nucleus = params.top_p < 1.0f;
  if (cut == kMasked && !is_nucleus) return draw_from_all(logits, max, scale, random);

  double total = 0;  // weight of the distribution that top_p refers to
  if (cut == kMasked) {
    sums_.resize((n + kSumBlock - 1) / kSumBlock);
    total = exp_block_sums(logits.data(), n, max, scale, sums_.data());
    // All tokens lighter than this together weigh less than (1 - top_p) * total; the nucleus is
    // among the others.
    const double least = (1.0 - params.top_p) * total / n;
    // The small margin covers the rounding of the logarithm.
    cut = static_cast<float>(max + temperature * std::log(least)) - 1e-4f * temperature;
  }
  collect(logits, std::min(cut, max));
  values_.clear();
  for (std::int32_t id : ids_) values_.push_back(logits[id]);
  exp_scaled(values_.data(), static_cast<int>(values_.size()), max, scale, values_.data());
  double kept = 0;
  for (float w : values_) kept += w;
  if (total == 0) total = kept;

  Weighted last{-1.0f, -1};  // the least token of the nucleus
  if (is_nucleus) {
    sorted_.clear();
    for (std::size_t i = 0; i < ids_.size(); ++i) sorted_.push_back({values_[i], ids_[i]});
    const auto before = [](const Weighted& a, const Weighted& b) {
      return a.weight > b.weight || (a.weight == b.weight && a.token_id < b.token_id);
    };
    // Bisection by selection: the mass before `low` is below the target, before `high` it is not.
    const double target = params.top_p * total;
    std::size_t low = 0, high = sorted_.size();
    double mass = 0;
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      std::nth_element(sorted_.begin() + low, sorted_.begin() + middle, sorted_.begin() + high,
                       before);
      double left = 0;
      for (std::size_t i = low; i < middle; ++i) left += sorted_[i].weight;
      if (mass + left < target) {
        mass += left;
        low = middle;
      } else {
        high = middle;
      }
    }
    last = sorted_[low];
    kept = mass + last.weight;
  }
  const double wanted = random * kept;
  double mass = 0;
  std::int32_t chosen = ids_.front();
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const float w = values_[i];
    if (w < last.weight || (w == last.weight && ids_[i] > last.token_id) || w == 0) continue;
    chosen = ids_[i];  // also the answer when rounding leaves `mass` below `wanted` at the end
    mass += w;
    if (mass > wanted) break;
  }
  return chosen;
}

// Inverse of the cumulative distribution, ids ascending: first the block, then the token.
std::int32_t Sampler::draw_from_all(std::span<const float> logits, float max, float scale,
                                    double random) {
  const int n = static_cast<int>(logits.size());
  sums_.resize((n + kSumBlock - 1) / kSumBlock);
  const double total = exp_block_sums(logits.data(), n, max, scale, sums_.data());
  const double wanted = random * total;
  double mass = 0;
  std::size_t block = 0, last_block = 0;
  for (; block < sums_.size(); ++block) {
    if (sums_[block] > 0) last_block = block;
    if (mass + sums_[block] > wanted) break;
    mass += sums_[block];
  }
  if (block == sums_.size()) {
    block = last_block;
    mass = wanted - sums_[block];  // rounding: take the end of the last block with any weight
  }
  const int begin = static_cast<int>(block) * kSumBlock;
  const int size = std::min(n - begin, kSumBlock);
  values_.resize(size);
  exp_scaled(logits.data() + begin, size, max, scale, values_.data());
  std::int32_t chosen = begin;
  for (int i = 0; i < size; ++i) {
    if (values_[i] == 0) continue;
    chosen = begin + i;
    mass += values_[i];
    if (mass > wanted) break;
  }
  return chosen;
}

}  // namespace tessera
