// Log probabilities as the two routes write them (data-plane 2.12).
#pragma once

#include <string>

#include "api/chat.h"
#include "api/completion.h"
#include "text/tokenizer.h"
#include "worker/choice_text.h"

namespace tessera {

// How tokens are named.
struct TokenNames {
  const Tokenizer& tokenizer;
  bool as_ids = false;  // return_tokens_as_token_ids: "token_id:N"

  std::string bytes(std::int32_t id) const;
  std::string text(std::int32_t id) const;  // U+FFFD for parts of characters
};

// Of an impossible token JSON can say nothing; this stands for it (vLLM's floor).
inline constexpr float kLogprobFloor = -9999.0f;

// `top`: how many alternatives were asked for.
api::ChatTokenLogprob chat_logprob(const ScoredToken& score, int top, const TokenNames& names);

// Appends; the chosen token joins the alternatives when it is not among them.
void append_logprob(const ScoredToken& score, const TokenNames& names, std::int64_t offset_base,
                    api::CompletionLogprobs& out);
// A prompt's first token has no logprob.
void append_prompt_logprob(std::int32_t token_id, const PromptLogprob& logprob, std::int64_t offset,
                           const TokenNames& names, api::CompletionLogprobs& out);

// vLLM's prompt_logprobs: [null, {"<id>": {"logprob", "rank"?, "decoded_token"}, …}, …].
std::string prompt_logprobs_json(std::span<const std::int32_t> prompt,
                                 std::span<const PromptLogprob> logprobs, const TokenNames& names);

}  // namespace tessera
