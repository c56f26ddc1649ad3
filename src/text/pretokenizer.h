// The `pre_tokenizer` of tokenizer.json: cuts normalised text into the pieces a model sees.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/normalizer.h"
#include "text/split_patterns.h"

namespace tessera {

// A text and its cut: pieces are ranges of `text`, in order; what lies between them is dropped.
struct Pieces {
  struct Range {
    std::uint32_t begin, end;
  };
  std::string text;
  std::vector<Range> ranges;
  bool at_input_start = false;  // the first piece begins at the very start of the input

  std::string_view operator[](const Range& r) const {
    return std::string_view(text).substr(r.begin, r.end - r.begin);
  }
};

namespace pretokenizers {

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct ByteLevel {
  bool add_prefix_space, use_regex;
};
struct Known {  // a Split whose pattern has a scanner
  SplitPattern pattern;
};
struct Split {
  TextPattern pattern;
  Behavior behavior;
  bool invert;
};
struct Metaspace {
  enum class Prepend { kAlways, kFirst, kNever } prepend_scheme;
  std::string replacement;
  bool split;
};
struct Digits {
  bool individual;
};
struct Bert {};
struct Whitespace {};       // \w+|[^\w\s]+
struct WhitespaceSplit {};  // anything but white space
struct Punctuation {
  Behavior behavior;
};

}  // namespace pretokenizers

class PreTokenizer {
 public:
  using Step = std::variant<pretokenizers::ByteLevel, pretokenizers::Known, pretokenizers::Split,
                            pretokenizers::Metaspace, pretokenizers::Digits, pretokenizers::Bert,
                            pretokenizers::Whitespace, pretokenizers::WhitespaceSplit,
                            pretokenizers::Punctuation>;

  void add(Step step) { steps_.push_back(std::move(step)); }
  // True when the last step and no other is ByteLevel: then the model may work on bytes and the
  // detour through stand-in characters is left out (`spell_bytes` false).
  bool ends_in_byte_level() const;

  // `pieces` holds one range over its whole text at first. Requires valid UTF-8.
  void apply(Pieces& pieces, bool spell_bytes) const;

 private:
  std::vector<Step> steps_;
};

}  // namespace tessera
