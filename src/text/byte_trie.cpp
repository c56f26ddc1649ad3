#include "text/byte_trie.h"

namespace tessera {

void ByteTrie::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  mask_ = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.key == 0) continue;
    std::size_t i = slot_of(slot.key);
    while (slots_[i].key != 0) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
}

void ByteTrie::add(std::string_view text, std::int32_t value) {
  if (text.empty()) return;
  std::int32_t node = root();
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    std::int32_t next = step(node, byte);
    if (next == kNone) {
      if (2 * values_.size() >= slots_.size()) grow();
      next = static_cast<std::int32_t>(values_.size());
      values_.push_back(kNone);
      const std::uint64_t key = key_of(node, byte);
      std::size_t i = slot_of(key);
      while (slots_[i].key != 0) i = (i + 1) & mask_;
      slots_[i] = {key, next};
    }
    node = next;
  }
  values_[node] = value;
}

std::size_t ByteTrie::longest_match(std::string_view text, std::size_t begin,
                                    std::int32_t& value) const {
  std::size_t end = std::string_view::npos;
  std::int32_t node = root();
  for (std::size_t i = begin; i < text.size(); ++i) {
    node = step(node, static_cast<unsigned char>(text[i]));
    if (node == kNone) break;
    if (values_[node] != kNone) {
      value = values_[node];
      end = i + 1;
    }
  }
  return end;
}

}  // namespace tessera
