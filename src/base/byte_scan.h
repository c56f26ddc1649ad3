// Looks at eight bytes of a text at once for those that need care: text on its way through the
// gateway is nearly all plain, and looking costs more than copying. (The tests for a byte within a
// word are those of H. S. Warren, "Hacker's Delight", 6-1.)
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tessera {

// One flag, the high bit, per byte of a word. Exact up to and including the first flagged byte.
class ByteFlags {
 public:
  explicit ByteFlags(const char* bytes) { std::memcpy(&word_, bytes, sizeof word_); }
  std::uint64_t below(std::uint8_t limit) const {  // limit at most 0x80
    return (word_ - kOnes * limit) & ~word_ & kHighs;
  }
  std::uint64_t equal(char wanted) const {
    const std::uint64_t difference = word_ ^ kOnes * static_cast<std::uint8_t>(wanted);
    return (difference - kOnes) & ~difference & kHighs;
  }
  std::uint64_t not_ascii() const { return word_ & kHighs; }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
  std::uint64_t word_;
};

// The offset, from `at` on, of the first byte for which `is(byte)` holds, or of the end.
// `any(flags)` flags the same bytes of a word.
template <class Any, class Is>
std::size_t scan(std::string_view text, std::size_t at, Any any, Is is) {
  static_assert(std::endian::native == std::endian::little);
  for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t flags = any(ByteFlags(text.data() + at));
    if (flags != 0) return at + static_cast<std::size_t>(std::countr_zero(flags)) / 8;
  }
  while (at < text.size() && !is(text[at])) ++at;
  return at;
}

// Control characters as HTTP knows them (RFC 9110, 5.5): below a blank, and DEL.
inline bool is_control(char c) { return (c >= 0 && c < 0x20) || c == 0x7F; }

inline bool has_control(std::string_view text) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  const auto any = [&](std::size_t at) {
    const ByteFlags flags(text.data() + at);
    return (flags.below(0x20) | flags.equal(0x7F)) != 0;
  };
  if (text.size() < kWord) {
    for (const char c : text) {
      if (is_control(c)) return true;
    }
    return false;
  }
  for (std::size_t at = 0; at + kWord < text.size(); at += kWord) {
    if (any(at)) return true;
  }
  return any(text.size() - kWord);  // overlaps the word before
}

}  // namespace tessera
