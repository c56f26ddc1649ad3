// The "precompiled charsmap" of SentencePiece: rewriting rules (NFKC and the like) as a
// double-array trie and the texts it points to (google/sentencepiece, src/normalizer.cc; the
// array's layout is Darts-clone's, github.com/s-yata/darts-clone).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

class Charsmap {
 public:
  // bytes: uint32 size of the trie, the trie in uint32 units, texts ending in NUL; little-endian.
  // Throws Error(kBadModelFile) naming `name`.
  Charsmap(std::string_view bytes, std::string_view name);

  // The rule that begins at text[begin]: bytes it replaces, and by what.
  struct Rule {
    std::size_t length;
    std::string_view replacement;
  };
  std::optional<Rule> longest(std::string_view text) const { return find(text, true); }
  std::optional<Rule> shortest(std::string_view text) const { return find(text, false); }

 private:
  std::optional<Rule> find(std::string_view text, bool longest) const;

  std::vector<std::uint32_t> units_;
  std::string texts_;  // NUL after each
};

}  // namespace tessera
