// Tool names for providers that allow fewer characters than OpenAI (external-providers 1.6). The
// way back is kept in Memo::tool_names. Private to the room.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "providers/provider.h"

namespace tessera::providers {

struct NameRule {
  std::string_view also_allowed;  // beside letters, digits and '_'
  bool digit_first = true;
  std::size_t longest = 64;
};

class ToolNames {
 public:
  explicit ToolNames(const NameRule& rule) : rule_(rule) {}

  // The provider's name of a tool; the same for the same name, different for different ones.
  const std::string& rename(std::string_view name);
  // For the answer: the names that had to change.
  std::map<std::string, std::string, std::less<>> back() const;

 private:
  NameRule rule_;
  std::map<std::string, std::string, std::less<>> forth_;  // ours to theirs
};

// The client's name of a tool in an answer.
std::string client_name(const Memo& memo, std::string_view provider_name);

}  // namespace tessera::providers
