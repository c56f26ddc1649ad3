// Remembers the ids of short pieces: natural text repeats its words.
//
// Direct-mapped, fixed in size, safe from any thread: a slot is locked by one atomic flag, and a
// thread that finds it taken simply computes instead of waiting.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace tessera {

class PieceCache {
 public:
  static constexpr std::size_t kMaxBytes = 28, kMaxIds = 8;

  explicit PieceCache(std::size_t slots = 8192)  // a power of two; 64 bytes each
      : mask_(slots - 1), slots_(std::make_unique<Slot[]>(slots)) {}

  // Appends the remembered ids; false when the piece is not here.
  bool find(std::string_view piece, std::uint64_t hash, std::vector<std::int32_t>& ids) const {
    if (piece.size() > kMaxBytes) return false;
    Slot& slot = slots_[hash & mask_];
    if (slot.taken.test_and_set(std::memory_order_acquire)) return false;
    const bool found =
        slot.length == piece.size() && std::memcmp(slot.key, piece.data(), piece.size()) == 0;
    if (found) ids.insert(ids.end(), slot.ids, slot.ids + slot.count);
    slot.taken.clear(std::memory_order_release);
    return found;
  }

  void store(std::string_view piece, std::uint64_t hash, std::span<const std::int32_t> ids) const {
    if (piece.size() > kMaxBytes || ids.size() > kMaxIds) return;
    Slot& slot = slots_[hash & mask_];
    if (slot.taken.test_and_set(std::memory_order_acquire)) return;
    slot.length = static_cast<std::uint8_t>(piece.size());
    slot.count = static_cast<std::uint8_t>(ids.size());
    std::memcpy(slot.key, piece.data(), piece.size());
    for (std::size_t i = 0; i < ids.size(); ++i) slot.ids[i] = ids[i];
    slot.taken.clear(std::memory_order_release);
  }

 private:
  struct alignas(64) Slot {
    std::atomic_flag taken;
    std::uint8_t length = 0;  // 0: empty; pieces never are
    std::uint8_t count = 0;
    char key[kMaxBytes];
    std::int32_t ids[kMaxIds];
  };
  static_assert(sizeof(Slot) == 64);

  std::size_t mask_;
  std::unique_ptr<Slot[]> slots_;
};

}  // namespace tessera
