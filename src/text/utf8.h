// UTF-8 character by character, and as a stream that may end inside a character.
//
// The rule, used wherever foreign bytes enter: every maximal invalid subpart (Unicode 15, §3.9,
// table 3-7) becomes one U+FFFD. Overlong forms and surrogates are invalid.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/strings.h"  // utf8_valid, utf8_sanitize, append_utf8

namespace tessera {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// Length in bytes of the character at `p` (n >= 1 bytes available): positive when it is complete,
// 0 when the bytes may become one but are too few, -k when the first k bytes never can.
int utf8_sequence(const char* p, std::size_t n);

// Moves complete characters from the front of `pending` to the end of `out`, replacing what is
// invalid; an incomplete tail stays pending, or becomes one U+FFFD when `at_end`.
void take_complete_utf8(std::string& pending, std::string& out, bool at_end);

std::string to_utf8(char32_t c);

// The following require valid UTF-8.

inline std::size_t lead_length(char lead) {
  const auto b = static_cast<unsigned char>(lead);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

// The character at text[i]; i moves behind it. Requires i < text.size().
inline char32_t next_code_point(std::string_view text, std::size_t& i) {
  const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
  const std::size_t length = lead_length(text[i]);
  char32_t c;
  switch (length) {
    case 1:
      c = at(0);
      break;
    case 2:
      c = (at(0) & 0x1Fu) << 6 | (at(1) & 0x3Fu);
      break;
    case 3:
      c = (at(0) & 0x0Fu) << 12 | (at(1) & 0x3Fu) << 6 | (at(2) & 0x3Fu);
      break;
    default:
      c = (at(0) & 0x07u) << 18 | (at(1) & 0x3Fu) << 12 | (at(2) & 0x3Fu) << 6 | (at(3) & 0x3Fu);
  }
  i += length;
  return c;
}

// Start of the character that ends before text[i]. Requires i > 0.
inline std::size_t previous_code_point(std::string_view text, std::size_t i) {
  do --i;
  while (i > 0 && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80);
  return i;
}

}  // namespace tessera
