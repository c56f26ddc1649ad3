// A SentencePiece tokenizer.model as plain data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

// Field numbers and defaults: google/sentencepiece, src/sentencepiece_model.proto.
struct SentencePieceModel {
  enum Type { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
  enum Algorithm { kUnigram = 1, kBpe, kWord, kChar };

  // By id.
  std::vector<std::string> pieces;
  std::vector<float> scores;
  std::vector<std::int32_t> types;

  // trainer_spec
  std::int32_t algorithm = kUnigram;
  bool treat_whitespace_as_suffix = false, byte_fallback = false;
  std::int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;

  // normalizer_spec
  std::string normalizer;  // "nmt_nfkc", "identity", …
  std::string charsmap;    // see text/charsmap.h; empty: none
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;

  std::string denormalizer_charsmap;  // denormalizer_spec
};

// `bytes`: a ModelProto. Throws Error(kBadModelFile) naming what is wrong: truncated or malformed
// messages, no pieces, empty or double pieces, scores that are no numbers, unknown types.
SentencePieceModel parse_sentencepiece_model(std::string_view bytes);

}  // namespace tessera
