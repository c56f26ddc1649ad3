// One member of a JSON object's text, found without building the tree: answers with millions of
// numbers pass through the gateway, which needs their `usage` only.
#pragma once

#include <optional>
#include <string_view>

namespace tessera::api {

// The text of the value of the top-level member `name`, or nullopt when the text is not an object,
// is cut off, or has no such member. What is skipped is not checked for being valid JSON.
std::optional<std::string_view> top_level_member(std::string_view object, std::string_view name);

}  // namespace tessera::api
