#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera {

AddedTokenMatcher::AddedTokenMatcher() : nodes_(1) {}

void AddedTokenMatcher::add(AddedToken token, std::string_view pattern) {
  if (pattern.empty()) return;
  first_[static_cast<unsigned char>(pattern[0])] = true;
  std::int32_t at = 0;
  for (const char c : pattern) {
    const auto byte = static_cast<unsigned char>(c);
    auto& children = nodes_[at].children;
    const auto child = std::lower_bound(
        children.begin(), children.end(), byte,
        [](const auto& entry, unsigned char wanted) { return entry.first < wanted; });
    if (child != children.end() && child->first == byte) {
      at = child->second;
    } else {
      const auto next = static_cast<std::int32_t>(nodes_.size());
      children.insert(child, {byte, next});
      nodes_.emplace_back();
      at = next;
    }
  }
  nodes_[at].token = static_cast<std::int32_t>(tokens_.size());
  has_special_ = has_special_ || token.special;
  tokens_.push_back(std::move(token));
}

std::size_t AddedTokenMatcher::match(std::string_view text, std::size_t begin,
                                     std::int32_t& token) const {
  std::size_t end = std::string_view::npos;
  std::int32_t at = 0;
  for (std::size_t i = begin; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto& children = nodes_[at].children;
    const auto child = std::lower_bound(
        children.begin(), children.end(), byte,
        [](const auto& entry, unsigned char wanted) { return entry.first < wanted; });
    if (child == children.end() || child->first != byte) break;
    at = child->second;
    if (nodes_[at].token >= 0) {
      token = nodes_[at].token;
      end = i + 1;
    }
  }
  return end;
}

void AddedTokenMatcher::split(
    std::string_view text, const std::function<Verdict(std::size_t begin, std::size_t end)>& judge,
    std::vector<Segment>& out) const {
  const auto word_before = [&](std::size_t i) {
    if (i == 0) return false;
    i = previous_code_point(text, i);
    return is_word(next_code_point(text, i));
  };
  const auto word_after = [&](std::size_t i) {
    return i < text.size() && is_word(next_code_point(text, i));
  };
  std::size_t done = 0;  // everything before is in a segment
  for (std::size_t i = 0; i < text.size();) {
    if (!first_[static_cast<unsigned char>(text[i])]) {
      ++i;
      continue;
    }
    std::int32_t index = -1;
    std::size_t end = match(text, i, index);
    if (end == std::string_view::npos) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[index];
    std::size_t begin = i;
    i = end;  // the search goes on behind the match, whatever becomes of it
    if (token.special) {
      const Verdict verdict = judge(begin, end);
      if (verdict == Verdict::kSkipOneCharacter) i = begin + 1;
      if (verdict != Verdict::kTake) continue;
    }
    if (token.single_word && (word_before(begin) || word_after(end))) continue;
    if (begin < done) continue;  // inside white space that rstrip has taken
    while (token.lstrip && begin > done) {
      const std::size_t previous = previous_code_point(text, begin);
      std::size_t k = previous;
      if (!is_white_space(next_code_point(text, k))) break;
      begin = std::max(previous, done);
    }
    while (token.rstrip && end < text.size()) {
      std::size_t next = end;
      if (!is_white_space(next_code_point(text, next))) break;
      end = next;
    }
    if (done < begin) out.push_back({done, begin, -1});
    out.push_back({begin, end, index});
    done = end;
  }
  if (done < text.size()) out.push_back({done, text.size(), -1});
}

}  // namespace tessera
