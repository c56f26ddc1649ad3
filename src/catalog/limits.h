// What a request may ask of an endpoint (data-plane 0.5): one profile instead of many switches.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera::catalog {

enum class ApiProfile { kDatabricks, kOpen };

std::string_view to_string(ApiProfile profile);  // "databricks", "open"
std::optional<ApiProfile> parse_api_profile(std::string_view text);

struct Limits {
  bool reject_unknown_fields = true;
  int max_n = 5;
  int max_tools = 32;
  int max_tool_schema_keys = 16;
  int max_response_schema_keys = 64;
  bool allow_schema_composition = false;
  int max_schema_depth = 10;
  int max_stop_entries = 16;
  bool parallel_tool_calls_default = false;
  bool system_message_anywhere = false;    // else at most one, first
  bool final_message_must_be_user = true;  // user or tool
  int max_completion_prompts = 128;
  int max_embedding_inputs = 2'048;
  std::int64_t max_embedding_tokens = 300'000;
  std::int64_t max_body_bytes = 4 << 20;
  std::int64_t max_output_tokens = 8'192;  // ceiling of max_tokens
};

Limits limits_of(ApiProfile profile);

}  // namespace tessera::catalog
