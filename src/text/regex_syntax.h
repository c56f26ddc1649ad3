// The syntax tree of a regular expression. Private to text/.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/unicode.h"

namespace tessera::regex {

inline constexpr int kUnbounded = -1;
// \w and \b, which Oniguruma takes a little narrower than UTS #18 does.
inline constexpr std::uint32_t kWordCategories = kLetter | kMark | kDecimalNumber | kConnector;

struct CharSet {
  bool negated = false;
  bool ignore_case = false;
  std::uint32_t categories = 0;
  bool white_space = false;
  std::vector<std::pair<char32_t, char32_t>> ranges;
  std::vector<CharSet> parts;  // \S, \P{..} or [..] inside a class
  std::bitset<128> ascii;      // the answer for each ASCII character, once sealed

  bool has(char32_t c) const {
    if (categories != 0 && (category_bit_unicode14(c) & categories)) return true;
    if (white_space && is_white_space(c)) return true;
    for (const auto& [low, high] : ranges) {
      if (low <= c && c <= high) return true;
    }
    for (const CharSet& part : parts) {
      if (part.compute(c)) return true;
    }
    return false;
  }
  bool compute(char32_t c) const {
    bool found = has(c);
    if (!found && ignore_case) {
      const char32_t folded = fold_case(c);
      found = has(folded) || (folded >= U'a' && folded <= U'z' && has(folded - 32));
      for (const auto& [low, high] : ranges) {
        found = found || (low == high && fold_case(low) == folded);
      }
    }
    return found != negated;
  }
  void seal() {
    for (char32_t c = 0; c < 128; ++c) ascii[c] = compute(c);
  }
  bool matches(char32_t c) const { return c < 128 ? ascii[c] : compute(c); }
};

struct Node {
  enum Kind {
    kEmpty,
    kSet,
    kConcat,
    kAlternate,
    kRepeat,
    kLook,
    kAtomic,
    kLineBegin,
    kLineEnd,
    kTextBegin,
    kTextEnd,
    kTextEndOrNewline,
    kWordBorder,
    kNotWordBorder
  } kind = kEmpty;
  CharSet set;
  std::vector<Node> children;
  int min = 0, max = 0;  // kRepeat; max kUnbounded
  enum Greed { kGreedy, kLazy, kPossessive } greed = kGreedy;
  bool behind = false, negated = false;  // kLook
};

// Throws Error(kUnsupportedModel) naming the construct and the pattern.
Node parse(std::string_view pattern);

}  // namespace tessera::regex
