// A token and how likely the model's raw distribution made it (data-plane 2.12).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace tessera {

struct TokenLogprob {
  std::int32_t token_id;
  float logprob;  // natural log of the raw distribution
};

struct PromptLogprob {
  std::optional<float> logprob;  // none for the first token
  std::vector<TokenLogprob> top;
};

}  // namespace tessera
