// What Claude models differ in, by their names (external-providers 6.1, 6.7, 6.8). Private to the
// room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "providers/parameters.h"

namespace tessera::providers {

struct ClaudeTraits {
  enum class Sampling {
    kFree,
    kOneOfTwo,  // temperature or top_p
    kFixed,     // temperature 1 and top_p from 0.99 only, no top_k
  };
  enum class Reasoning {
    kNone,
    kBudget,  // thinking {"type": "enabled", "budget_tokens"}
    kEffort,  // output_config.effort
  };
  Sampling sampling = Sampling::kFree;
  Reasoning reasoning = Reasoning::kBudget;
  bool native_schema = false;  // output_config.format; strict tools
};

// By any form of a name: "claude-3-5-sonnet-latest", "us.anthropic.claude-opus-4-1-20250805-v1:0",
// "claude-sonnet-4-5@20250929". Of names that tell nothing (ARNs) the most is believed that the
// provider itself can still refuse.
ClaudeTraits claude_traits(std::string_view model);

// The model will think before it answers: then no tool can be forced on it.
bool claude_thinks(const api::ChatRequest& request, const ClaudeTraits& traits);

// Refuses, or leaves out, what the model does not take of temperature, top_p and top_k.
// `version`: Anthropic's API version, "" elsewhere.
void check_claude_sampling(const api::ChatRequest& request, const ClaudeTraits& traits,
                           std::string_view version, Parameters& parameters);

// `thinking` as it came, or what OpenAI's `reasoning_effort` means to the model.
struct ClaudeReasoning {
  json::value thinking;     // null: none
  std::string effort;       // empty: none
  std::int64_t budget = 0;  // the tokens of a budget that is ours; 0: none
};
ClaudeReasoning take_claude_reasoning(const api::ChatRequest& request, const ClaudeTraits& traits,
                                      Parameters& parameters);

}  // namespace tessera::providers
