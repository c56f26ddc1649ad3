#include "worker/choice_text.h"

#include <algorithm>

#include "base/strings.h"

namespace tessera {

ChoiceText::ChoiceText(const Tokenizer& tokenizer, const ChoiceOptions& options)
    : tokenizer_(tokenizer),
      options_(options),
      detokenizer_(tokenizer, options.skip_special_tokens, options.strip_leading_space),
      matcher_(options.stops, options.include_stop) {}

bool ChoiceText::push(const GeneratedToken& token, ChoiceDelta& delta) {
  if (is_finished_) return false;
  ++tokens_;
  sum_logprob_ += token.logprob;
  delta.token_ids.push_back(token.token_id);

  if (token.is_stop_token) {
    const auto special = options_.special_stops.find(token.token_id);
    const auto& ids = options_.stop_token_ids;
    if (special != options_.special_stops.end()) {
      delta.stop_reason = special->second;
    } else if (std::find(ids.begin(), ids.end(), token.token_id) != ids.end()) {
      delta.stop_reason = std::int64_t{token.token_id};
    }
    // A stop string inside what was held back still wins: it came first.
    if (take(detokenizer_.finish(), delta)) return false;
    if (show(matcher_.finish(), delta)) return false;
    if (options_.include_stop && delta.stop_reason.index() != 0) {
      delta.text += special != options_.special_stops.end()
                        ? special->second
                        : std::string(tokenizer_.token_bytes(token.token_id));
    }
    end(FinishReason::kStop, delta);
    return false;
  }

  std::string text = detokenizer_.push(token.token_id);
  if (options_.scores) {
    ScoredToken score{token.token_id, token.logprob, token.top, decoded_code_points_};
    held_.push_back({std::move(score), decoded_bytes_, decoded_bytes_ + text.size()});
  }
  const bool is_last = token.finish.has_value();
  if (is_last) text += detokenizer_.finish();
  if (take(std::move(text), delta)) return !is_last;
  if (is_last) {
    if (!show(matcher_.finish(), delta)) end(FinishReason::kLength, delta);
  }
  return false;
}

void ChoiceText::cut(ChoiceDelta& delta) {
  if (is_finished_) return;
  if (take(detokenizer_.finish(), delta)) return;
  if (!show(matcher_.finish(), delta)) end(FinishReason::kLength, delta);
}

// True when a stop string was found.
bool ChoiceText::take(std::string text, ChoiceDelta& delta) {
  decoded_bytes_ += text.size();
  decoded_code_points_ += static_cast<std::int64_t>(utf8_length(text));
  if (tokens_ < options_.min_tokens) return show({std::move(text), std::nullopt}, delta);
  return show(matcher_.push(text), delta);
}

bool ChoiceText::show(StopMatcher::Output output, ChoiceDelta& delta) {
  shown_bytes_ += output.text.size();
  delta.text += output.text;
  release(shown_bytes_, false, delta);
  if (!output.match) return false;
  // Tokens that begin before the cut have text in the answer; the others vanish with theirs.
  while (!held_.empty() && held_.front().begin < shown_bytes_) {
    delta.scores.push_back(std::move(held_.front().score));
    held_.pop_front();
  }
  held_.clear();
  is_finished_ = true;
  delta.finish = FinishReason::kStop;
  delta.stop_reason = *output.match;
  return true;
}

void ChoiceText::end(FinishReason reason, ChoiceDelta& delta) {
  release(decoded_bytes_, true, delta);
  is_finished_ = true;
  delta.finish = reason;
}

void ChoiceText::release(std::size_t shown_bytes, bool up_to_end, ChoiceDelta& delta) {
  while (!held_.empty() && (up_to_end || held_.front().end <= shown_bytes)) {
    delta.scores.push_back(std::move(held_.front().score));
    held_.pop_front();
  }
}

}  // namespace tessera
