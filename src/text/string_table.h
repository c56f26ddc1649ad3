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
    end_.reserve(strings.size() + 1);
    end_.push_back(0);
    for (const auto& s : strings) {
      data_.append(s.data(), s.size());
      end_.push_back(static_cast<std::uint32_t>(data_.size()));
    }
  }

  std::string_view operator[](std::size_t i) const {
    return {data_.data() + end_[i], end_[i + 1] - end_[i]};
  }
  std::size_t size() const { return end_.empty() ? 0 : end_.size() - 1; }

 private:
  std::string data_;
  std::vector<std::uint32_t> end_;
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

// Open-addressing index over chosen entries of a PackedStrings, which must outlive it and not move.
class StringTable {
 public:
  StringTable() = default;
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
    for (std::size_t i = hash & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.id < 0) return -1;
      if (slot.tag == static_cast<std::uint32_t>(hash >> 32) && (*strings_)[slot.id] == key) {
        return slot.id;
      }
    }
  }
  std::size_t longest() const { return longest_; }  // bytes of the longest key

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::int32_t id = -1;
  };

  const PackedStrings* strings_ = nullptr;
  std::vector<Slot> slots_{Slot{}};
  std::size_t mask_ = 0;
  std::size_t longest_ = 0;
};

}  // namespace tessera
