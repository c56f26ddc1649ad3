// The completions contract: POST …/completions (data-plane 2.5, 2.6; OpenAI "Completions
// (legacy)").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/body.h"
#include "api/fields.h"
#include "api/options.h"

namespace tessera::api {

// Text, or token ids when `token_ids` is not empty.
struct TextOrTokens {
  std::string text;
  std::vector<std::int32_t> token_ids;
};

enum class ErrorBehavior { kError, kTruncate };

struct CompletionRequest {
  CommonFields common;
  GenerationFields generation;
  std::vector<TextOrTokens> prompts;  // at least one
  std::optional<int> logprobs;        // 0: the chosen tokens only
  int best_of = 0;                    // 0: the same as n
  std::string suffix;                 // appended to each completion
  ErrorBehavior error_behavior = ErrorBehavior::kError;
  bool use_raw_prompt = false;
};

CompletionRequest parse_completion_request(const Body& body, const ParseOptions& options);
std::string to_json(const CompletionRequest& request, const WireOptions& wire = {});

struct CompletionLogprobs {
  std::vector<std::string> tokens;
  std::vector<std::optional<float>> token_logprobs;  // none for the first prompt token
  // Per token, best first; none for the first prompt token.
  std::vector<std::optional<std::vector<std::pair<std::string, float>>>> top_logprobs;
  std::vector<std::int64_t> text_offset;  // code points from the start of the choice's text
};

struct CompletionChoice {
  int index = 0;  // prompt_index * n + sample_index
  std::string text;
  std::optional<FinishReason> finish_reason;
  std::optional<CompletionLogprobs> logprobs;
  std::optional<StopReason> stop_reason;  // none: the key is not written
  std::optional<std::vector<std::int32_t>> token_ids;
  std::optional<std::vector<std::int32_t>> prompt_token_ids;
  std::string prompt_logprobs;  // JSON text; written when not empty
  StringPairs extra;            // an upstream's members that nobody here knows, as JSON text
};

// An answer, or one chunk of a stream: they have the same form.
struct CompletionResponse {
  std::string id;  // "cmpl-…"
  std::int64_t created = 0;
  std::string model;
  std::string system_fingerprint;
  std::vector<CompletionChoice> choices;
  std::optional<Usage> usage;
  bool null_usage = false;        // chunks: without usage, write "usage": null
  std::string served_model_name;  // written when not empty
  std::optional<Timings> timings;
  StringPairs extra;
};

std::string to_json(const CompletionResponse& response);
// An upstream's answer or chunk. Unknown members are kept as `extra`; throws
// Error(kUpstreamBadGateway).
CompletionResponse parse_completion_response(std::string_view json);

}  // namespace tessera::api
