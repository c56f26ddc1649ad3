// Strings by number and numbers by string: the two halves of a vocabulary, each in one allocation.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

// Immutable list of strings; views stay valid as long as the list is not moved.
class PackedStrings {
 public:
  PackedStrings() = default;
  template <class Strings>
  explicit PackedStrings(const Strings& strings) {
    std::size_t total = 0;
    for (const auto& s : strings) total += s.size();
    data_.reserve(total);
    for (const auto& s : strings) data_.append(s.data(), s.size());
    if (!index(strings, 5)) index(strings, 0);  // 32 strings are rarely longer than 64 KiB
  }

  std::string_view operator[](std::size_t i) const {
    const std::size_t begin = place(i);
    return {data_.data() + begin, place(i + 1) - begin};
  }
  std::size_t size() const { return offset_.empty() ? 0 : offset_.size() - 1; }

 private:
  std::size_t place(std::size_t i) const { return base_[i >> shift_] + offset_[i]; }

  // False when some offset needs more than 16 bits.
  template <class Strings>
  bool index(const Strings& strings, int shift) {
    shift_ = shift;
    base_.clear();
    offset_.clear();
    base_.reserve((strings.size() >> shift) + 1);
    offset_.reserve(strings.size() + 1);
    std::size_t place = 0;
    const auto add = [&] {
      if (offset_.size() >> shift == base_.size()) {
        base_.push_back(static_cast<std::uint32_t>(place));
      }
      if (place - base_.back() > UINT16_MAX) return false;
      offset_.push_back(static_cast<std::uint16_t>(place - base_.back()));
      return true;
    };
    for (const auto& s : strings) {
      if (!add()) return false;
      place += s.size();
    }
    return add();
  }

  std::string data_;
  // Where string i begins: offset_[i] behind the base of its group of 2^shift_ strings. One more
  // entry tells where the last one ends.
  int shift_ = 0;
  std::vector<std::uint32_t> base_;
  std::vector<std::uint16_t> offset_;
};

// For tables inside one process; not for adversarial collision resistance beyond mixing all bytes.
inline std::uint64_t mix_hash(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t hash_bytes(std::string_view s) {
  constexpr std::uint64_t kA = 0x9E3779B97F4A7C15u, kB = 0xD1B54A32D192ED03u;
  std::uint64_t h = s.size() ^ kB;
  const char* p = s.data();
  std::size_t n = s.size();
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix_hash(h ^ word, kA);
  }
  std::uint64_t tail = 0;
  // Three branches instead of a memcpy of variable length, which is a call.
  if (n >= 4) {
    std::uint32_t low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + n - 4, 4);
    tail = static_cast<std::uint64_t>(high) << 32 | low;
  } else if (n > 0) {
    tail = static_cast<unsigned char>(p[0]) | static_cast<unsigned char>(p[n / 2]) << 8 |
           static_cast<unsigned char>(p[n - 1]) << 16;
  }
  return mix_hash(h ^ tail, kB);
}

// A place in a table of `slots` entries by the upper half of a hash; `slots` need not be a power of
// two (Lemire, "Fast random integer generation in an interval", ACM TOMACS 2019).
inline std::size_t slot_of(std::uint64_t hash, std::size_t slots) {
  return static_cast<std::size_t>((hash >> 32) * slots >> 32);
}

// Open-addressing index over chosen entries of a PackedStrings, which must outlive it and not move.
// Four bytes a slot: a vocabulary is in memory for as long as its model is.
class StringTable {
 public:
  static constexpr int kIdBits = 21, kTagBits = 11;

  StringTable() = default;
  // Ids are below 2^21 - 1.
  StringTable(const PackedStrings& strings, std::span<const std::int32_t> ids);

  std::optional<std::int32_t> find(std::string_view key) const {
    const std::int32_t id = find_or_negative(key, hash_bytes(key));
    return id < 0 ? std::nullopt : std::optional(id);
  }
  std::int32_t find_or_negative(std::string_view key) const {
    return find_or_negative(key, hash_bytes(key));
  }
  std::int32_t find_or_negative(std::string_view key, std::uint64_t hash) const {
    if (key.size() > longest_) return -1;
    for (std::size_t i = slot_of(hash, slots_.size());; i = i + 1 == slots_.size() ? 0 : i + 1) {
      const std::uint32_t slot = slots_[i];
      if (slot == kFree) return -1;
      if ((slot ^ static_cast<std::uint32_t>(hash)) << kIdBits == 0 &&
          (*strings_)[slot >> kTagBits] == key) {
        return static_cast<std::int32_t>(slot >> kTagBits);
      }
    }
  }
  std::size_t longest() const { return longest_; }  // bytes of the longest key

 private:
  static constexpr std::uint32_t kFree = UINT32_MAX;

  const PackedStrings* strings_ = nullptr;
  std::vector<std::uint32_t> slots_{kFree};  // id, then the lowest bits of its string's hash
  std::size_t longest_ = 0;
};

}  // namespace tessera
