#include "text/byte_alphabet.h"

#include "text/utf8.h"

namespace tessera {

const std::array<char32_t, 256>& byte_alphabet() {
  static const std::array<char32_t, 256> table = [] {
    std::array<char32_t, 256> result{};
    char32_t next = 0x100;
    for (char32_t b = 0; b < 256; ++b) {
      const bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      result[b] = itself ? b : next++;
    }
    return result;
  }();
  return table;
}

int byte_of_stand_in(char32_t c) {
  constexpr char32_t kEnd = 0x100 + 68;
  static const std::array<short, kEnd> table = [] {
    std::array<short, kEnd> result;
    result.fill(-1);
    for (int b = 0; b < 256; ++b) result[byte_alphabet()[b]] = static_cast<short>(b);
    return result;
  }();
  return c < kEnd ? table[c] : -1;
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  for (const char b : bytes) append_utf8(out, byte_alphabet()[static_cast<unsigned char>(b)]);
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size();) {
    const int b = byte_of_stand_in(next_code_point(text, i));
    if (b < 0) return std::nullopt;
    bytes += static_cast<char>(b);
  }
  return bytes;
}

}  // namespace tessera
