// The `normalizer` of tokenizer.json: text rewritten before it is split.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/charsmap.h"
#include "text/regex.h"
#include "text/sentencepiece_normalizer.h"
#include "text/unicode.h"

namespace tessera {

// Literal string or regular expression, as `Split` and `Replace` use them.
struct TextPattern {
  std::variant<std::string, Regex> pattern;

  // Matches in order, not overlapping, never empty for a literal (an empty literal never matches).
  // `budget` as in Regex::find; without one, that of a single text.
  std::vector<std::pair<std::size_t, std::size_t>> find_all(std::string_view text,
                                                            std::size_t& budget) const;
  std::vector<std::pair<std::size_t, std::size_t>> find_all(std::string_view text) const {
    std::size_t budget = Regex::step_budget(text.size());
    return find_all(text, budget);
  }
};

namespace normalizers {

struct Prepend {
  std::string text;  // put before every piece that is not empty
};
struct Replace {
  TextPattern pattern;
  std::string content;
};
struct Form {
  NormalForm form;
};
struct Lowercase {};
struct StripAccents {};  // drops every combining mark
struct Strip {
  bool left, right;
};
struct Bert {
  bool clean_text, handle_chinese_chars, strip_accents, lowercase;
};
// A SentencePiece charsmap as the tokenizers library applies it: the shortest rule of each grapheme
// of at most five bytes, else that of each of its characters.
struct Precompiled {
  std::shared_ptr<const Charsmap> charsmap;
};

}  // namespace normalizers

class Normalizer {
 public:
  using Step = std::variant<normalizers::Prepend, normalizers::Replace, normalizers::Form,
                            normalizers::Lowercase, normalizers::StripAccents, normalizers::Strip,
                            normalizers::Bert, normalizers::Precompiled, SentencePieceNormalizer>;

  void add(Step step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }
  // Requires valid UTF-8, and returns it.
  std::string apply(std::string_view text) const;

 private:
  std::vector<Step> steps_;
};

// Throws Error(kBadValue) when rules of a file blow a text up beyond anything a tokenizer needs:
// repeated replacements grow exponentially.
void check_growth(std::size_t bytes_before, std::size_t bytes_after);

// Replaces every match; shared with the `Replace` decoder. Checks growth.
std::string replace_all(std::string_view text, const TextPattern& pattern,
                        std::string_view content);

}  // namespace tessera
