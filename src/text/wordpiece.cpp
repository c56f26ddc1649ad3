#include "text/wordpiece.h"

#include <algorithm>

#include "text/utf8.h"

namespace tessera {

WordPiece::WordPiece(std::shared_ptr<const Vocabulary> vocabulary, std::string prefix,
                     std::int32_t unk, std::size_t max_input_chars)
    : vocabulary_(std::move(vocabulary)), unk_(unk), max_input_chars_(max_input_chars) {
  const PackedStrings& texts = vocabulary_->texts;
  std::vector<std::string_view> rest(texts.size());
  std::vector<std::int32_t> ids;
  for (std::size_t id = 0; id < texts.size(); ++id) {
    if (!texts[id].starts_with(prefix) ||
        vocabulary_->model.find_or_negative(texts[id]) != static_cast<std::int32_t>(id)) {
      continue;
    }
    rest[id] = texts[id].substr(prefix.size());
    if (!rest[id].empty()) ids.push_back(static_cast<std::int32_t>(id));
  }
  continuations_ = std::make_unique<Vocabulary>(PackedStrings(rest), ids);
}

void WordPiece::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.empty()) return;
  const std::uint64_t hash = hash_bytes(word);
  if (cache_.find(word, hash, ids)) return;
  const std::size_t characters = std::count_if(word.begin(), word.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  const std::size_t first = ids.size();
  bool known = characters <= max_input_chars_;
  for (std::size_t begin = 0; known && begin < word.size();) {
    const StringTable& table = begin == 0 ? vocabulary_->model : continuations_->model;
    std::size_t end = std::min(word.size(), begin + table.longest());
    while (end < word.size() && end > begin &&
           (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80) {
      --end;
    }
    std::int32_t id = -1;
    while (end > begin) {
      id = table.find_or_negative(word.substr(begin, end - begin));
      if (id >= 0) break;
      end = previous_code_point(word, end);
    }
    if (id < 0) {
      known = false;
    } else {
      ids.push_back(id);
      begin = end;
    }
  }
  if (!known) {
    ids.resize(first);
    ids.push_back(unk_);
  }
  cache_.store(word, hash, std::span(ids).subspan(first));
}

}  // namespace tessera
