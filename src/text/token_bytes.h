// What each token of a vocabulary contributes to a text, in one allocation beside the vocabulary.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/string_table.h"

namespace tessera {

// A list of strings, most of which are entries of another list at the same place: those are not
// held twice. Immutable, safe from any thread.
class TokenBytes {
 public:
  TokenBytes() = default;
  // `bytes` has as many entries as `texts`, which must outlive this object and not move.
  TokenBytes(const PackedStrings& texts, const std::vector<std::string>& bytes);

  std::string_view operator[](std::size_t id) const {
    const Block& block = blocks_[id / 64];
    const std::uint64_t bit = std::uint64_t{1} << id % 64;
    if ((block.differs & bit) == 0) return (*texts_)[id];
    return own_[block.before + static_cast<unsigned>(std::popcount(block.differs & (bit - 1)))];
  }

 private:
  struct Block {  // 64 ids
    std::uint64_t differs = 0;
    std::uint32_t before = 0;  // how many differ before the block
  };

  const PackedStrings* texts_ = nullptr;
  std::vector<Block> blocks_;
  PackedStrings own_;  // of the ids that differ, in order
};

}  // namespace tessera
