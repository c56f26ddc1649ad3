// Strings by their bytes, for finding all of them that begin at one place of a text.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tessera {

// Edges live in one open-addressing table keyed by (node, byte): quick to build, and a step is one
// look-up whatever the fan-out.
class ByteTrie {
 public:
  static constexpr std::int32_t kNone = -1;

  // Of two equal strings the later value counts. Empty strings are ignored.
  void add(std::string_view text, std::int32_t value);
  bool empty() const { return values_.size() == 1; }

  std::int32_t root() const { return 0; }
  // The node after `byte`, or kNone.
  std::int32_t step(std::int32_t node, unsigned char byte) const {
    const std::uint64_t key = key_of(node, byte);
    for (std::size_t i = slot_of(key);; i = (i + 1) & mask_) {
      if (slots_[i].key == key) return slots_[i].node;
      if (slots_[i].key == 0) return kNone;
    }
  }
  // Of the string that ends at `node`, or kNone.
  std::int32_t value(std::int32_t node) const { return values_[node]; }

  // The longest string that begins at text[begin]: its end, or npos.
  std::size_t longest_match(std::string_view text, std::size_t begin, std::int32_t& value) const;

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::int32_t node = 0;
  };
  static std::uint64_t key_of(std::int32_t node, unsigned char byte) {
    return (static_cast<std::uint64_t>(node) << 8 | byte) + 1;  // 0 marks a free slot
  }
  std::size_t slot_of(std::uint64_t key) const {
    return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15u >> 20) & mask_;
  }
  void grow();

  std::vector<std::int32_t> values_{kNone};  // by node
  std::vector<Slot> slots_ = std::vector<Slot>(64);
  std::size_t mask_ = 63;
};

}  // namespace tessera
