// Remembers the ids of short pieces: natural text repeats its words.
//
// Direct-mapped, fixed in size, safe from any thread: a slot is locked by one atomic flag, and a
// thread that finds it taken simply computes instead of waiting. Only slots in use are resident.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/zero_pages.h"

namespace tessera {

class PieceCache {
 public:
  static constexpr std::size_t kMaxBytes = 28, kMaxIds = 8;

  explicit PieceCache(std::size_t slots = 8192)  // a power of two; 64 bytes each
      : mask_(slots - 1),
        memory_(slots * sizeof(Slot)),
        slots_(reinterpret_cast<Slot*>(memory_.data())) {}

  // Appends the remembered ids; false when the piece is not here.
  bool find(std::string_view piece, std::uint64_t hash, std::vector<std::int32_t>& ids) const {
    if (piece.size() > kMaxBytes) return false;
    Slot& slot = slots_[hash & mask_];
    if (!take(slot)) return false;
    const bool found =
        slot.length == piece.size() && std::memcmp(slot.key, piece.data(), piece.size()) == 0;
    if (found) ids.insert(ids.end(), slot.ids, slot.ids + slot.count);
    give_back(slot);
    return found;
  }

  void store(std::string_view piece, std::uint64_t hash, std::span<const std::int32_t> ids) const {
    if (piece.size() > kMaxBytes || ids.size() > kMaxIds) return;
    Slot& slot = slots_[hash & mask_];
    if (!take(slot)) return;
    slot.length = static_cast<std::uint8_t>(piece.size());
    slot.count = static_cast<std::uint8_t>(ids.size());
    std::memcpy(slot.key, piece.data(), piece.size());
    for (std::size_t i = 0; i < ids.size(); ++i) slot.ids[i] = ids[i];
    give_back(slot);
  }

 private:
  struct alignas(64) Slot {  // of zeros at first
    std::uint8_t taken;
    std::uint8_t length;  // 0: empty; pieces never are
    std::uint8_t count;
    char key[kMaxBytes];
    std::int32_t ids[kMaxIds];
  };
  static_assert(sizeof(Slot) == 64);

  static bool take(Slot& slot) {
    return std::atomic_ref(slot.taken).exchange(1, std::memory_order_acquire) == 0;
  }
  static void give_back(Slot& slot) {
    std::atomic_ref(slot.taken).store(0, std::memory_order_release);
  }

  std::size_t mask_;
  ZeroPages memory_;
  Slot* slots_;
};

}  // namespace tessera
