#include "text/charsmap.h"

#include "base/error.h"
#include "base/strings.h"

namespace tessera {

namespace {

// One unit of the array: has_leaf, value and label share their bits as Darts-clone lays them out.
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFF; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FF; }
std::uint32_t offset_of(std::uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

Charsmap::Charsmap(std::string_view bytes, std::string_view name) {
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorKind::kBadModelFile,
                std::string(name) + ": the precompiled charsmap " + what + ".");
  };
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    }
    return value;
  };
  if (bytes.size() < 4) bad("has " + std::to_string(bytes.size()) + " bytes; wanted is a size");
  const std::size_t trie_bytes = word(0);
  if (trie_bytes > bytes.size() - 4 || trie_bytes % 4 != 0 || trie_bytes == 0) {
    bad("says that its trie has " + std::to_string(trie_bytes) + " bytes of " +
        std::to_string(bytes.size() - 4));
  }
  units_.reserve(trie_bytes / 4);
  for (std::size_t at = 4; at < 4 + trie_bytes; at += 4) units_.push_back(word(at));
  texts_ = bytes.substr(4 + trie_bytes);
  texts_ += '\0';
  if (!utf8_valid(texts_)) bad("holds texts that are not UTF-8");
}

std::optional<Charsmap::Rule> Charsmap::find(std::string_view text, bool longest) const {
  std::optional<Rule> found;
  std::size_t node = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) break;  // label of the leaves, never of a character
    node ^= byte;
    if (node >= units_.size()) break;
    const std::uint32_t unit = units_[node];
    if (label_of(unit) != byte) break;
    node ^= offset_of(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size()) break;
    // Hostile rules may end inside a character of the text, or point into one of the replacements.
    if (i + 1 < text.size() && is_continuation(text[i + 1])) continue;
    const std::size_t begin = value_of(units_[node]);
    if (begin >= texts_.size()) break;
    const std::size_t end = texts_.find('\0', begin);
    const std::string_view replacement = std::string_view(texts_).substr(begin, end - begin);
    if (!replacement.empty() && is_continuation(replacement[0])) continue;
    found = Rule{i + 1, replacement};
    if (!longest) break;
  }
  return found;
}

}  // namespace tessera
