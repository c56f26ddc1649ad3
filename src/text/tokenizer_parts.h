// What the loaders of tokenizer.json and GGUF build, and what Tokenizer runs. Private to text/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/token_model.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace tessera {

// Ids are below this in every published vocabulary. It bounds what a hostile file can allocate, and
// lets StringTable and Bpe keep ids in 21 bits.
inline constexpr std::int64_t kMaxVocabulary = (1 << 21) - 1;

struct TokenizerParts {
  std::shared_ptr<const Vocabulary> vocabulary;
  std::vector<AddedToken> added;
  Normalizer normalizer;
  PreTokenizer pretokenizer;
  bool byte_model = false;  // the model takes raw bytes instead of stand-ins
  std::unique_ptr<const TokenModel> model;
  Decoder decoder;
  std::vector<std::int32_t> prefix, suffix;  // the post-processor's special tokens
  std::optional<std::int32_t> bos, eos, eot, eom;
  std::vector<std::pair<std::string, std::string>> special_tokens;  // {"bos_token", "<s>"}, …
};

std::unique_ptr<const Tokenizer> assemble_tokenizer(TokenizerParts parts);

}  // namespace tessera
