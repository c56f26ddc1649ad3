#include "text/utf8.h"

#include <cstdint>
#include <cstring>

namespace tessera {

int utf8_sequence(const char* p, std::size_t n) {
  const auto at = [p](std::size_t i) { return static_cast<unsigned char>(p[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte alone rules out overlong forms, surrogates and values above U+10FFFF.
  unsigned char low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (int i = 1; i < length; ++i) {
    if (static_cast<std::size_t>(i) == n) return 0;
    if (at(i) < low || at(i) > high) return -i;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

namespace {

// End of the run of ASCII that starts at i.
std::size_t skip_ascii(std::string_view text, std::size_t i) {
  while (i + 8 <= text.size()) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if (word & 0x8080808080808080u) break;
    i += 8;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

void take_complete_utf8(std::string& pending, std::string& out, bool at_end) {
  std::size_t i = 0;
  while (i < pending.size()) {
    const std::size_t ascii_end = skip_ascii(pending, i);
    out.append(pending, i, ascii_end - i);
    i = ascii_end;
    if (i == pending.size()) break;
    const int length = utf8_sequence(pending.data() + i, pending.size() - i);
    if (length > 0) {
      out.append(pending, i, length);
      i += length;
    } else if (length < 0) {
      out += kReplacementCharacter;
      i += -length;
    } else if (at_end) {
      out += kReplacementCharacter;
      i = pending.size();
    } else {
      break;
    }
  }
  pending.erase(0, i);
}

std::string to_utf8(char32_t c) {
  std::string out;
  append_utf8(out, c);
  return out;
}

}  // namespace tessera
