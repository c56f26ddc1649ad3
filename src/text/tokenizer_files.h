// One maker per file format that can hold a tokenizer. Private to text/; load_tokenizer chooses.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace tessera {

struct TokenizerCompanions;  // text/tokenizer_config.h

std::unique_ptr<const Tokenizer> tokenizer_from_json(std::string_view tokenizer_json,
                                                     const TokenizerCompanions& companions);
// `bytes` of a SentencePiece model (protocol buffers).
std::unique_ptr<const Tokenizer> tokenizer_from_sentencepiece(
    std::string_view bytes, const TokenizerCompanions& companions);
// `text` of a tiktoken rank file.
std::unique_ptr<const Tokenizer> tokenizer_from_ranks(std::string_view text,
                                                      const TokenizerCompanions& companions);
// Whether every line of `text` is "base64 rank".
bool is_rank_file(std::string_view text);

}  // namespace tessera
