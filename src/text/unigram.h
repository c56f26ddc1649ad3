// The unigram language model (Kudo, arXiv:1804.10959): the segmentation of highest total score, by
// Viterbi's algorithm over the text.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "text/byte_trie.h"
#include "text/token_model.h"
#include "text/vocabulary.h"

namespace tessera {

struct UnigramSettings {
  bool byte_fallback = false;  // unknown characters become <0xHH> tokens
  // SentencePiece adds scores in single precision and knows user-defined and unused pieces; the
  // tokenizers library adds in double precision and knows neither.
  bool single_precision = false;
  std::optional<std::int32_t> unk;
};

class Unigram final : public TokenModel {
 public:
  enum class Kind : char { kIgnored, kNormal, kUserDefined };

  // Longer pieces would make encoding slow; published ones have at most some dozens of bytes.
  static constexpr std::size_t kMaxPieceBytes = 512;

  // `scores` and `kinds` by id; finite scores; ignored ids are never produced. Without `unk` a text
  // with unknown characters that have no bytes is an Error(kBadValue).
  Unigram(std::shared_ptr<const Vocabulary> vocabulary, std::vector<double> scores,
          std::span<const Kind> kinds, UnigramSettings settings);

  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const override;

 private:
  template <class Score>
  void viterbi(std::string_view text, std::vector<std::int32_t>& ids) const;
  void emit_unknown(std::string_view text, std::vector<std::int32_t>& ids) const;

  std::shared_ptr<const Vocabulary> vocabulary_;
  UnigramSettings settings_;
  std::vector<double> scores_;
  std::vector<bool> user_defined_;
  ByteTrie trie_;
  double unk_score_ = 0, max_score_ = 0;
  std::array<std::int32_t, 256> byte_ids_{};
};

}  // namespace tessera
