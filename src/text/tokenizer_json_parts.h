// Readers of the components of a tokenizer.json: each takes the value of its key, null included.
// Private to text/.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "text/tokenizer_parts.h"

namespace tessera {

// All throw Error(kUnsupportedModel) naming path and type of what Tessera does not know, and
// Error(kBadModelFile) or a reader's error of base/json for what is malformed.
Normalizer read_normalizer(const boost::json::value& value);
PreTokenizer read_pretokenizer(const boost::json::value& value);
Decoder read_decoder(const boost::json::value& value);
// Special tokens around the sequence, into parts.prefix and parts.suffix. Types of segment B are
// never used here.
void read_postprocessor(const boost::json::value& value, TokenizerParts& parts);

// "tokenizer.json: model.type is 'X'; Tessera supports …."
[[noreturn]] void unsupported_component(std::string_view path, std::string_view type,
                                        std::string_view wanted);
[[noreturn]] void bad_component(std::string_view path, std::string_view what);
std::int32_t token_id_at(const boost::json::value& value, std::string_view path);

}  // namespace tessera
