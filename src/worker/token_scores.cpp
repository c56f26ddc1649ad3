#include "worker/token_scores.h"

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"

namespace tessera {
namespace {

float finite(float logprob) {
  return logprob > kLogprobFloor ? logprob : kLogprobFloor;  // the floor for NaN, too
}

using Alternatives = std::vector<std::pair<std::string, float>>;

Alternatives alternatives_of(std::int32_t token_id, float logprob,
                             const std::vector<TokenLogprob>& top, const TokenNames& names) {
  Alternatives out;
  bool has_own = false;
  for (const TokenLogprob& t : top) {
    out.emplace_back(names.text(t.token_id), finite(t.logprob));
    has_own |= t.token_id == token_id;
  }
  if (!has_own) out.emplace_back(names.text(token_id), finite(logprob));
  return out;
}

}  // namespace

std::string TokenNames::bytes(std::int32_t id) const {
  const std::string_view bytes = tokenizer.token_bytes(id);
  // Special tokens add no bytes to a text, but have a spelling.
  return std::string(bytes.empty() ? tokenizer.token_text(id) : bytes);
}

std::string TokenNames::text(std::int32_t id) const {
  if (as_ids) return "token_id:" + std::to_string(id);
  std::string bytes = this->bytes(id);
  return utf8_valid(bytes) ? bytes : utf8_sanitize(bytes);
}

api::ChatTokenLogprob chat_logprob(const ScoredToken& score, int top, const TokenNames& names) {
  api::ChatTokenLogprob out;
  out.token = names.text(score.token_id);
  out.bytes = names.bytes(score.token_id);
  out.logprob = finite(score.logprob);
  for (const TokenLogprob& t : score.top) {
    if (static_cast<int>(out.top_logprobs.size()) == top) break;
    out.top_logprobs.push_back(
        {names.text(t.token_id), finite(t.logprob), names.bytes(t.token_id)});
  }
  return out;
}

void append_logprob(const ScoredToken& score, const TokenNames& names, std::int64_t offset_base,
                    api::CompletionLogprobs& out) {
  out.tokens.push_back(names.text(score.token_id));
  out.token_logprobs.emplace_back(finite(score.logprob));
  out.top_logprobs.emplace_back(alternatives_of(score.token_id, score.logprob, score.top, names));
  out.text_offset.push_back(offset_base + score.offset);
}

void append_prompt_logprob(std::int32_t token_id, const PromptLogprob& logprob, std::int64_t offset,
                           const TokenNames& names, api::CompletionLogprobs& out) {
  out.tokens.push_back(names.text(token_id));
  out.text_offset.push_back(offset);
  if (!logprob.logprob) {
    out.token_logprobs.emplace_back();
    out.top_logprobs.emplace_back();
    return;
  }
  out.token_logprobs.emplace_back(finite(*logprob.logprob));
  out.top_logprobs.emplace_back(alternatives_of(token_id, *logprob.logprob, logprob.top, names));
}

std::string prompt_logprobs_json(std::span<const std::int32_t> prompt,
                                 std::span<const PromptLogprob> logprobs, const TokenNames& names) {
  json::array out;
  for (std::size_t i = 0; i < prompt.size() && i < logprobs.size(); ++i) {
    if (!logprobs[i].logprob) {
      out.emplace_back(nullptr);
      continue;
    }
    json::object entry;
    const auto add = [&](std::int32_t id, float logprob, std::size_t rank) {
      json::object token;
      token["logprob"] = finite(logprob);
      if (rank > 0) token["rank"] = rank;
      token["decoded_token"] = names.text(id);
      entry.emplace(std::to_string(id), std::move(token));
    };
    const auto& top = logprobs[i].top;
    const auto own = std::find_if(top.begin(), top.end(),
                                  [&](const TokenLogprob& t) { return t.token_id == prompt[i]; });
    // The prompt's own token first; its rank is known when it is among the likeliest.
    add(prompt[i], *logprobs[i].logprob,
        own == top.end() ? 0 : static_cast<std::size_t>(own - top.begin()) + 1);
    for (std::size_t r = 0; r < top.size(); ++r) add(top[r].token_id, top[r].logprob, r + 1);
    out.emplace_back(std::move(entry));
  }
  return to_json(out);
}

}  // namespace tessera
