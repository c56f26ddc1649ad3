#include "text/string_table.h"

#include <algorithm>
#include <cassert>

namespace tessera {

StringTable::StringTable(const PackedStrings& strings, std::span<const std::int32_t> ids)
    : strings_(&strings) {
  // At most half full: probes stay short and a free slot always ends them.
  slots_.assign(2 * ids.size() + 1, kFree);
  for (const std::int32_t id : ids) {
    assert(id >= 0 && id < (1 << kIdBits) - 1);
    const std::string_view key = strings[id];
    longest_ = std::max(longest_, key.size());
    const std::uint64_t hash = hash_bytes(key);
    const auto tag = static_cast<std::uint32_t>(hash) << kIdBits >> kIdBits;
    std::size_t i = slot_of(hash, slots_.size());
    while (slots_[i] != kFree &&
           !((slots_[i] ^ tag) << kIdBits == 0 && strings[slots_[i] >> kTagBits] == key)) {
      i = i + 1 == slots_.size() ? 0 : i + 1;
    }
    // Of two equal strings the later one counts.
    slots_[i] = static_cast<std::uint32_t>(id) << kTagBits | tag;
  }
}

}  // namespace tessera
