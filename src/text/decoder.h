// The `decoder` of tokenizer.json: token texts back to one text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/normalizer.h"

namespace tessera {

// The byte of a token "<0xHH>".
std::optional<unsigned char> byte_of_fallback_token(std::string_view text);

namespace decoders {

struct ByteLevel {};
struct Replace {
  TextPattern pattern;
  std::string content;
};
struct ByteFallback {};
struct Fuse {};
struct Strip {  // up to `start` and `stop` characters equal to `content` at the ends
  char32_t content;
  std::size_t start, stop;
};
struct Metaspace {
  std::string replacement;
  bool prepends;  // the first token loses its replacement characters
};
struct WordPiece {
  std::string prefix;
  bool cleanup;
};

}  // namespace decoders

class Decoder {
 public:
  using Step =
      std::variant<decoders::ByteLevel, decoders::Replace, decoders::ByteFallback, decoders::Fuse,
                   decoders::Strip, decoders::Metaspace, decoders::WordPiece>;

  void add(Step step) { steps_.push_back(std::move(step)); }

  // The text of a whole sequence; token texts are valid UTF-8, and so is the result.
  std::string decode(std::vector<std::string> tokens) const;
  // Bytes of one token in the middle of a text, perhaps not UTF-8 by themselves.
  std::string token_bytes(std::string_view token) const;
  bool strips_leading_space() const;

 private:
  std::vector<Step> steps_;
};

}  // namespace tessera
