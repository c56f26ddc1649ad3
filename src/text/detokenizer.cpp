#include "text/detokenizer.h"

#include "text/utf8.h"

namespace tessera {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special, bool strip_leading_space)
    : tokenizer_(tokenizer), skip_special_(skip_special), at_start_(strip_leading_space) {}

std::string Detokenizer::push(std::int32_t token_id) {
  if (skip_special_ && tokenizer_.is_special(token_id)) return {};
  std::string_view bytes = tokenizer_.token_bytes(token_id);
  if (bytes.empty()) return {};
  if (at_start_) {
    if (bytes.front() == ' ') bytes.remove_prefix(1);
    at_start_ = false;
  }
  pending_ += bytes;
  std::string text;
  take_complete_utf8(pending_, text, false);
  return text;
}

std::string Detokenizer::finish() {
  std::string text;
  take_complete_utf8(pending_, text, true);
  return text;
}

}  // namespace tessera
