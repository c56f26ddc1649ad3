// The text side of one generated sample: tokens in, text and log probabilities out, in step.
//
// Text that could still become a stop string is held back, and the log probabilities of its tokens
// with it, so that the pieces always add up to the plain answer (data-plane 2.12, 2.15).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/fields.h"
#include "engine/engine.h"
#include "text/detokenizer.h"
#include "text/stop_matcher.h"
#include "text/tokenizer.h"

namespace tessera {

struct ScoredToken {
  std::int32_t token_id = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top;
  std::int64_t offset = 0;  // code points of generated text before the token
};

// What one step added to a choice.
struct ChoiceDelta {
  int choice = 0;
  std::string text;
  std::vector<ScoredToken> scores;  // only when asked for
  std::vector<std::int32_t> token_ids;
  std::optional<FinishReason> finish;
  api::StopReason stop_reason;

  bool is_empty() const { return text.empty() && scores.empty() && !finish; }
};

struct ChoiceOptions {
  std::vector<std::string> stops;
  std::vector<std::int32_t> stop_token_ids;           // of the request: reported as stop_reason
  std::map<std::int32_t, std::string> special_stops;  // stop strings that are special tokens
  bool include_stop = false;
  bool skip_special_tokens = true;
  bool strip_leading_space = false;
  bool scores = false;
  int min_tokens = 0;
};

class ChoiceText {
 public:
  ChoiceText(const Tokenizer& tokenizer, const ChoiceOptions& options);

  // Adds to `delta`. Tokens after the end are ignored. Returns true when a stop string ended the
  // choice: the engine does not know yet.
  bool push(const GeneratedToken& token, ChoiceDelta& delta);
  // Ends the choice now, as if the token limit had been reached.
  void cut(ChoiceDelta& delta);

  bool is_finished() const { return is_finished_; }
  int tokens() const { return tokens_; }
  double mean_logprob() const { return tokens_ > 0 ? sum_logprob_ / tokens_ : 0; }

 private:
  bool take(std::string text, ChoiceDelta& delta);
  bool show(StopMatcher::Output output, ChoiceDelta& delta);
  void end(FinishReason reason, ChoiceDelta& delta);
  void release(std::size_t shown_bytes, bool up_to_end, ChoiceDelta& delta);

  struct Held {
    ScoredToken score;
    std::size_t begin, end;  // bytes of the decoded text
  };

  const Tokenizer& tokenizer_;
  const ChoiceOptions& options_;
  Detokenizer detokenizer_;
  StopMatcher matcher_;
  std::deque<Held> held_;
  std::size_t decoded_bytes_ = 0, shown_bytes_ = 0;
  std::int64_t decoded_code_points_ = 0;
  int tokens_ = 0;
  double sum_logprob_ = 0;
  bool is_finished_ = false;
};

}  // namespace tessera
