// WordPiece: greedy longest match from the left (Devlin et al., arXiv:1810.04805).
#pragma once

#include <memory>
#include <string>

#include "text/piece_cache.h"
#include "text/token_model.h"
#include "text/vocabulary.h"

namespace tessera {

class WordPiece final : public TokenModel {
 public:
  // `prefix` marks tokens that continue a word. A word of more than `max_input_chars` characters,
  // or with a position where no token matches, becomes one `unk`.
  WordPiece(std::shared_ptr<const Vocabulary> vocabulary, std::string prefix, std::int32_t unk,
            std::size_t max_input_chars);

  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::unique_ptr<const Vocabulary> continuations_;  // tokens that begin with prefix, without it
  std::int32_t unk_;
  std::size_t max_input_chars_;
  PieceCache cache_;
};

}  // namespace tessera
