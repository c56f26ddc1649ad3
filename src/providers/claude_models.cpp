#include "providers/claude_models.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>

#include "base/strings.h"

namespace tessera::providers {
namespace {

using Sampling = ClaudeTraits::Sampling;
using Reasoning = ClaudeTraits::Reasoning;

struct Version {
  std::string_view family;  // "opus", "sonnet", "haiku", …; "" of the oldest
  int number = 0;           // 10 * major + minor: 3.5 is 35
};

// claude-3-5-sonnet-…, claude-2.1, claude-instant-1.2, claude-opus-4-1-…, claude-sonnet-5: numbers
// of one or two digits are the version, longer ones a date; a word is the family.
std::optional<Version> parse_version(std::string_view model) {
  const std::size_t start = model.find("claude");
  if (start == std::string_view::npos) return std::nullopt;
  std::string_view rest = model.substr(start + 6);
  Version version;
  int parts = 0;
  while (!rest.empty() && parts < 2) {
    if (rest.front() == '@' || rest.front() == ':') break;
    if (rest.front() == '-' || rest.front() == '.') {
      rest.remove_prefix(1);
      continue;
    }
    std::size_t end = 0;
    const bool digits = std::isdigit(static_cast<unsigned char>(rest.front())) != 0;
    while (end < rest.size() &&
           (digits ? std::isdigit(static_cast<unsigned char>(rest[end])) != 0
                   : std::isalpha(static_cast<unsigned char>(rest[end])) != 0)) {
      ++end;
    }
    if (end == 0) break;
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(end);
    if (digits) {
      if (end > 2) break;
      version.number += static_cast<int>(*parse_int(part)) * (parts == 0 ? 10 : 1);
      ++parts;
    } else if (parts == 0) {
      if (part == "v") continue;  // Bedrock's claude-v2
      version.family = part;
    } else {
      if (version.family.empty()) version.family = part;
      break;  // the family after the version: what follows is a date
    }
  }
  if (version.number == 0) return std::nullopt;
  return version;
}

// The first row that fits counts.
struct Row {
  std::string_view family;  // "" is any
  int from, to;             // versions
  ClaudeTraits traits;
};
constexpr int kNewest = 1000;
constexpr Row kRows[] = {
    {"", 47, kNewest, {Sampling::kFixed, Reasoning::kEffort, true}},
    {"opus", 46, 46, {Sampling::kFree, Reasoning::kEffort, true}},
    {"", 46, 46, {Sampling::kOneOfTwo, Reasoning::kEffort, true}},
    {"opus", 45, 45, {Sampling::kOneOfTwo, Reasoning::kEffort, true}},
    {"", 45, 45, {Sampling::kOneOfTwo, Reasoning::kBudget, true}},
    {"opus", 41, 41, {Sampling::kOneOfTwo, Reasoning::kBudget, false}},
    {"", 37, 44, {Sampling::kFree, Reasoning::kBudget, false}},
    {"", 0, 36, {Sampling::kFree, Reasoning::kNone, false}},
};

// The API version that ended sampling parameters.
constexpr std::string_view kWithoutSampling = "2026-10-21";

void refuse(Parameters& parameters, std::string_view field, std::string_view reason) {
  parameters.take(field);
  parameters.refuse(field, reason);
}

bool asks_for_thinking(const api::ChatRequest& request) {
  return !request.thinking.empty() && request.thinking.find("\"disabled\"") == std::string::npos;
}

// OpenAI's `reasoning_effort`, where it becomes a budget.
bool asks_for_budget(const api::ChatRequest& request, const ClaudeTraits& traits) {
  const std::string& effort = request.reasoning_effort;
  return traits.reasoning == ClaudeTraits::Reasoning::kBudget &&
         (effort == "low" || effort == "medium" || effort == "high");
}

Error bad_effort(const api::ChatRequest& request, std::string_view wanted) {
  return Error(ErrorKind::kUnsupportedValue,
               "Unsupported value: 'reasoning_effort' must be " + std::string(wanted) +
                   ", received " + quote_for_message(request.reasoning_effort) + ".",
               "reasoning_effort");
}

std::int64_t budget_of(const api::ChatRequest& request) {
  const std::string& effort = request.reasoning_effort;
  if (effort == "low") return 1024;
  if (effort == "medium") return 4096;
  if (effort == "high") return 16384;
  throw bad_effort(request, "'none', 'minimal', 'low', 'medium' or 'high' for this model");
}

}  // namespace

ClaudeTraits claude_traits(std::string_view model) {
  const std::string lower = to_lower(model);
  const std::optional<Version> version = parse_version(lower);
  if (!version) return {};
  for (const Row& row : kRows) {
    if (!row.family.empty() && row.family != version->family) continue;
    if (version->number >= row.from && version->number <= row.to) return row.traits;
  }
  return {};
}

bool claude_thinks(const api::ChatRequest& request, const ClaudeTraits& traits) {
  return asks_for_thinking(request) || asks_for_budget(request, traits);
}

void check_claude_sampling(const api::ChatRequest& request, const ClaudeTraits& traits,
                           std::string_view version, Parameters& parameters) {
  const api::GenerationFields& given = request.generation;
  const bool temperature = given.temperature && *given.temperature != 1;  // 1 is the default
  if (!version.empty() && version >= kWithoutSampling) {
    const std::string reason = "in its API version " + std::string(version);
    if (temperature) refuse(parameters, "temperature", reason);
    if (parameters.has("top_p")) refuse(parameters, "top_p", reason);
    if (parameters.has("top_k")) refuse(parameters, "top_k", reason);
    parameters.take("temperature");
  } else if (traits.sampling == ClaudeTraits::Sampling::kFixed) {
    if (temperature) refuse(parameters, "temperature", "for this model, other than 1");
    if (given.top_p && *given.top_p < 0.99) {
      refuse(parameters, "top_p", "for this model, below 0.99");
    }
    if (parameters.has("top_k")) refuse(parameters, "top_k", "for this model");
    parameters.take("temperature");
  } else if (traits.sampling == ClaudeTraits::Sampling::kOneOfTwo && parameters.has("top_p")) {
    if (temperature) {
      refuse(parameters, "top_p", "together with 'temperature' for this model");
    } else {
      parameters.take("temperature");
    }
  }
  if (!claude_thinks(request, traits)) return;
  const bool budget = !asks_for_thinking(request);
  const std::string beside =
      "together with '" + std::string(budget ? "reasoning_effort" : "thinking") + "'";
  if (temperature && parameters.has("temperature")) {
    refuse(parameters, "temperature", beside + ", other than 1");
  }
  if (parameters.has("top_k")) refuse(parameters, "top_k", beside);
}

// OpenAI's levels: none, minimal, low, medium, high, xhigh, max.
ClaudeReasoning take_claude_reasoning(const api::ChatRequest& request, const ClaudeTraits& traits,
                                      Parameters& parameters) {
  ClaudeReasoning reasoning;
  if (const auto thinking = parameters.take("thinking")) reasoning.thinking = *thinking;
  const std::string& effort = request.reasoning_effort;
  parameters.take("reasoning_effort");
  if (effort.empty() || effort == "none" || effort == "minimal") return reasoning;
  switch (traits.reasoning) {
    case ClaudeTraits::Reasoning::kNone:
      parameters.refuse("reasoning_effort", "for this model");
      break;
    case ClaudeTraits::Reasoning::kEffort: {
      static constexpr std::string_view kLevels[] = {"low", "medium", "high", "xhigh", "max"};
      if (std::ranges::find(kLevels, effort) == std::end(kLevels)) {
        throw bad_effort(request, "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or 'max'");
      }
      reasoning.effort = effort;
      break;
    }
    case ClaudeTraits::Reasoning::kBudget:
      if (!reasoning.thinking.is_null()) {
        parameters.refuse("reasoning_effort", "together with 'thinking' for this model");
        break;
      }
      reasoning.budget = budget_of(request);
      reasoning.thinking = json::object{{"type", "enabled"}, {"budget_tokens", reasoning.budget}};
      break;
  }
  return reasoning;
}

}  // namespace tessera::providers
