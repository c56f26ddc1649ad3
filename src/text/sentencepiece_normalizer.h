// SentencePiece's own normalisation (google/sentencepiece, src/normalizer.cc): rewriting rules,
// white space, the dummy prefix, and ▁ for spaces.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/byte_trie.h"
#include "text/charsmap.h"

namespace tessera {

struct SentencePieceNormalizer {
  std::shared_ptr<const Charsmap> charsmap;      // null: characters stay
  std::shared_ptr<const ByteTrie> user_defined;  // pieces that no rule touches; null: none
  bool add_dummy_prefix = true;                  // one space before the text …
  bool prefix_is_suffix = false;                 // … or behind it
  bool remove_extra_whitespaces = true;          // at both ends, and runs to one
  bool escape_whitespaces = true;                // spaces become U+2581

  // Requires valid UTF-8, and returns it.
  std::string apply(std::string_view text) const;
};

}  // namespace tessera
