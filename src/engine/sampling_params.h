// How the next token is chosen, and when a sequence ends (data-plane 2.2, 2.14).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace tessera {

struct SamplingParams {
  float temperature = 1.0f;  // 0 is greedy
  float top_p = 1.0f;        // (0, 1]
  int top_k = 0;             // 0: off; 1: greedy
  float min_p = 0.0f;
  float repetition_penalty = 1.0f;
  float frequency_penalty = 0.0f;
  float presence_penalty = 0.0f;
  std::vector<std::pair<std::int32_t, float>> logit_bias;
  std::vector<std::int32_t> allowed_token_ids;       // empty: all
  std::vector<std::vector<std::int32_t>> bad_words;  // forbidden token sequences
  std::optional<std::uint64_t> seed;                 // sample i uses seed + i
  int max_tokens = 16;                               // output budget, >= 0
  int min_tokens = 0;
  std::vector<std::int32_t> stop_token_ids;  // besides the model's own
  bool ignore_eos = false;
  std::optional<int> logprobs;         // number of alternatives; 0: the chosen token only
  std::optional<int> prompt_logprobs;  // likewise for the prompt's tokens
};

}  // namespace tessera
