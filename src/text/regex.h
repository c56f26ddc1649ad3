// A small backtracking engine for the patterns that tokenizer files bring along.
//
// Syntax and meaning follow Oniguruma's Ruby dialect with Unicode, which the reference library
// uses: literals, ., classes with ranges and negation, \p{L} \P{..} \s \d \w \h and their
// complements, groups, (?i) (?i:..) (?m:..), look-ahead and look-behind, atomic groups, | and
// greedy, lazy and possessive quantifiers; ^ and $ match at lines. Back references, named classes
// of other kinds and set intersections are refused. The frequent patterns never come here: see
// split_patterns.h.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace tessera {

class Regex {
 public:
  // Throws Error(kUnsupportedModel) naming the construct and the pattern.
  explicit Regex(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // Leftmost match at or after `from` as [begin, end). `text` is valid UTF-8, `from` a character
  // border. `budget` is what this and later searches of the same text may still spend in steps;
  // throws Error(kBadValue) when it is used up (catastrophic backtracking).
  std::optional<std::pair<std::size_t, std::size_t>> find(std::string_view text, std::size_t from,
                                                          std::size_t& budget) const;
  // A generous budget for one pass over a text: linear patterns need a few steps per byte.
  static std::size_t step_budget(std::size_t text_bytes) { return 2'000'000 + 400 * text_bytes; }

 private:
  struct Program;
  std::unique_ptr<const Program> program_;
};

}  // namespace tessera
