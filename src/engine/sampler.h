// From one row of logits to one token (data-plane 2.14, model-architectures 6).
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/sampling_params.h"
#include "engine/token_logprob.h"

namespace tessera {

// How often each token stands in a sequence, for the penalties. Empty unless one is in use.
class TokenCounts {
 public:
  struct Entry {
    std::int32_t token_id;
    int output_count;  // in the generated part; prompt tokens alone have 0
  };

  void add_prompt(std::span<const std::int32_t> token_ids);
  void add_output(std::int32_t token_id);
  std::span<const Entry> entries() const { return entries_; }

 private:
  Entry& entry(std::int32_t token_id);
  std::vector<Entry> entries_;
  std::unordered_map<std::int32_t, int> index_;
};

// Whether the sequence has to keep TokenCounts.
bool uses_penalties(const SamplingParams& params);

// What the choice depends on besides logits and parameters.
struct SampleContext {
  std::span<const std::int32_t> output_token_ids;  // generated so far
  std::span<const std::int32_t> end_token_ids;     // masked before min_tokens
  const TokenCounts* counts = nullptr;             // set when uses_penalties()
  std::uint64_t key = 0;  // of the generator; the step is the output's length
};

struct SampledToken {
  std::int32_t token_id = 0;
  float logprob = 0;              // of the raw distribution, when params.logprobs is set
  std::vector<TokenLogprob> top;  // params.logprobs entries, descending, ties by id
};

// Scratch memory for one thread. Results do not depend on what was sampled before.
class Sampler {
 public:
  // `logits` is overwritten. Throws Error: kEngineFailure on NaN or +inf, kBadValue when the
  // request's own masks leave no token.
  SampledToken sample(std::span<float> logits, const SamplingParams& params,
                      const SampleContext& context);

  // The log probability of `token_id` (none for a negative id) and of the `top` likeliest tokens.
  PromptLogprob prompt_logprob(std::span<const float> logits, std::int32_t token_id, int top);

 private:
  struct Weighted {
    float weight;
    std::int32_t token_id;
  };

  double log_sum_exp(std::span<const float> logits, float max);
  float kth_largest(std::span<const float> logits, int k);
  void top_tokens(std::span<const float> logits, int k, double lse, std::vector<TokenLogprob>& out);
  void collect(std::span<const float> logits, float cut);
  std::int32_t first_maximum(std::span<const float> logits, float max) const;
  std::int32_t draw(std::span<const float> logits, float max, const SamplingParams& params,
                    double random);
  std::int32_t draw_from_all(std::span<const float> logits, float max, float scale, double random);

  std::vector<float> raw_;
  std::vector<float> maxima_;      // block_maxima of the row in work
  std::vector<double> sums_;       // exp_block_sums of the row in work
  std::vector<float> values_;      // logits or weights of the candidates
  std::vector<std::int32_t> ids_;  // candidates, ascending
  std::vector<Weighted> sorted_;
  std::vector<std::pair<std::int32_t, float>> saved_;
};

}  // namespace tessera
