// What tokenizer_config.json, special_tokens_map.json and added_tokens.json say beside a
// vocabulary. Private to text/.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_parts.h"

namespace tessera {

// The texts of the companions; empty where a model has none.
struct TokenizerCompanions {
  std::string config;              // tokenizer_config.json
  std::string special_tokens_map;  // special_tokens_map.json
  std::string added_tokens;        // added_tokens.json
};

struct TokenizerConfig {
  boost::json::object config, special_tokens_map, added_tokens;

  // Throws Error(kBadModelFile) naming the file.
  static TokenizerConfig parse(const TokenizerCompanions& companions);

  std::string tokenizer_class() const;
  // added_tokens_decoder of tokenizer_config.json, then what added_tokens.json has besides.
  std::vector<AddedToken> added() const;
  // Names the special tokens (bos_token, …), whose ids must be known in `parts`, and for Llama-type
  // tokenizers lets add_bos_token and add_eos_token replace the post-processor's tokens.
  void apply(TokenizerParts& parts) const;
};

// A token id of a file; Error(kBadModelFile) naming file and path when no vocabulary could have it.
std::int32_t checked_token_id(std::int64_t id, std::string_view file, std::string_view path);

// One entry of `added_tokens` (tokenizer.json) or `added_tokens_decoder`, its id aside.
AddedToken read_added_token(const boost::json::object& entry, std::string_view path);

// Readers of base/json speak of requests; a file that is wrong is a bad model file.
[[noreturn]] void rethrow_as_model_file(std::string_view file);
template <class F>
auto as_model_file(std::string_view file, F&& f) {
  try {
    return f();
  } catch (...) {
    rethrow_as_model_file(file);
  }
}

}  // namespace tessera
