// Token ids to text, piece by piece, never half a character. One per generated sequence.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace tessera {

class Detokenizer {
 public:
  // strip_leading_space: drop one space at the very start (chat answers of SentencePiece models).
  Detokenizer(const Tokenizer& tokenizer, bool skip_special, bool strip_leading_space);

  // Text completed by this token; may be empty while a character is incomplete.
  std::string push(std::int32_t token_id);
  // What is left at the end: an incomplete character becomes one U+FFFD.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  bool at_start_;
  std::string pending_;
};

}  // namespace tessera
