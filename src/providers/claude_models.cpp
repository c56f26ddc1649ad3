#include "providers/claude_models.h"

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

}  // namespace tessera::providers
