#include "catalog/limits.h"

namespace tessera::catalog {

std::string_view to_string(ApiProfile profile) {
  return profile == ApiProfile::kOpen ? "open" : "databricks";
}

std::optional<ApiProfile> parse_api_profile(std::string_view text) {
  if (text == "databricks") return ApiProfile::kDatabricks;
  if (text == "open") return ApiProfile::kOpen;
  return std::nullopt;
}

Limits limits_of(ApiProfile profile) {
  Limits limits;
  if (profile == ApiProfile::kDatabricks) return limits;
  limits.reject_unknown_fields = false;
  limits.max_n = 128;
  limits.max_tools = 128;
  limits.max_tool_schema_keys = 1'000;
  limits.max_response_schema_keys = 5'000;
  limits.allow_schema_composition = true;
  limits.parallel_tool_calls_default = true;
  limits.system_message_anywhere = true;
  limits.final_message_must_be_user = false;
  limits.max_completion_prompts = 1'024;
  limits.max_body_bytes = 32 << 20;
  return limits;
}

}  // namespace tessera::catalog
