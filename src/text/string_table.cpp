#include "text/string_table.h"

#include <algorithm>
#include <bit>

namespace tessera {

StringTable::StringTable(const PackedStrings& strings, std::span<const std::int32_t> ids)
    : strings_(&strings) {
  // At most half full: probes stay short and an empty slot always ends them.
  slots_.assign(std::bit_ceil(2 * ids.size() + 1), Slot{});
  mask_ = slots_.size() - 1;
  for (const std::int32_t id : ids) {
    const std::string_view key = strings[id];
    longest_ = std::max(longest_, key.size());
    const std::uint64_t hash = hash_bytes(key);
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    std::size_t i = hash & mask_;
    while (slots_[i].id >= 0 && !(slots_[i].tag == tag && strings[slots_[i].id] == key)) {
      i = (i + 1) & mask_;
    }
    slots_[i] = {tag, id};  // of two equal strings the later one counts
  }
}

}  // namespace tessera
