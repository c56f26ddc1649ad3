// What Claude models differ in, by their names (external-providers 6.1, 6.7, 6.8). Private to the
// room.
#pragma once

#include <string_view>

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

}  // namespace tessera::providers
