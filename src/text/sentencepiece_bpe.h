// SentencePiece's BPE (Kudo and Richardson, arXiv:1808.06226) from pieces and scores alone, as
// tokenizer.model and GGUF files of model "llama" carry it.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "text/byte_trie.h"
#include "text/token_model.h"
#include "text/vocabulary.h"

namespace tessera {

class SentencePieceBpe final : public TokenModel {
 public:
  // `scores` by id: the adjacent pair whose concatenation is the piece of highest score merges
  // first, leftmost on ties. `unused` (by id) pieces may form but are split again at the end. What
  // is no piece becomes <0xHH> tokens, or `unk` where a byte has none. Pieces of `user_defined`, if
  // given, are found first and merge with nothing.
  SentencePieceBpe(std::shared_ptr<const Vocabulary> vocabulary, std::span<const float> scores,
                   std::vector<bool> unused, std::optional<std::int32_t> unk,
                   std::shared_ptr<const ByteTrie> user_defined = nullptr);

  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const override;

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::vector<std::uint32_t> rank_;  // by id; equal scores share a rank
  std::vector<bool> unused_;
  bool any_unused_ = false;
  std::optional<std::int32_t> unk_;
  std::shared_ptr<const ByteTrie> user_defined_;
  std::array<std::int32_t, 256> byte_ids_{};
};

}  // namespace tessera
