#include "providers/tool_names.h"

#include <algorithm>

namespace tessera::providers {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

std::string fitted(std::string_view name, const NameRule& rule) {
  const bool starts_well =
      !name.empty() && (!is_digit(name[0]) || rule.digit_first) &&
      (is_letter(name[0]) || is_digit(name[0]) || rule.also_allowed.find(name[0]) == name.npos);
  std::string out;
  if (!starts_well) out += '_';
  for (const char c : name) {
    const bool allowed = is_letter(c) || is_digit(c) || rule.also_allowed.find(c) != name.npos;
    out += allowed ? c : '_';
  }
  if (out.size() > rule.longest) out.resize(rule.longest);
  return out;
}

}  // namespace

const std::string& ToolNames::rename(std::string_view name) {
  if (const auto known = forth_.find(name); known != forth_.end()) return known->second;
  const std::string wanted = fitted(name, rule_);
  std::string theirs = wanted;
  const auto taken = [&](const std::string& candidate) {
    return std::ranges::any_of(forth_, [&](const auto& e) { return e.second == candidate; });
  };
  for (int i = 2; taken(theirs); ++i) {
    std::string suffix(1, '_');
    suffix += std::to_string(i);
    theirs = wanted.substr(0, rule_.longest - suffix.size()) + suffix;
  }
  return forth_.emplace(std::string(name), std::move(theirs)).first->second;
}

std::map<std::string, std::string, std::less<>> ToolNames::back() const {
  std::map<std::string, std::string, std::less<>> names;
  for (const auto& [ours, theirs] : forth_) {
    if (ours != theirs) names.emplace(theirs, ours);
  }
  return names;
}

std::string client_name(const Memo& memo, std::string_view provider_name) {
  const auto found = memo.tool_names.find(provider_name);
  return found == memo.tool_names.end() ? std::string(provider_name) : found->second;
}

}  // namespace tessera::providers
