// The printable stand-ins of GPT-2's byte-level vocabularies: one character for each byte.
//
// Bytes 33–126, 161–172 and 174–255 stand for themselves; the other 68, in increasing order, are
// U+0100 + n (openai/gpt-2, src/encoder.py, bytes_to_unicode).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

// Stand-in of each byte.
const std::array<char32_t, 256>& byte_alphabet();
// The byte that `c` stands for; -1 when it is no stand-in.
int byte_of_stand_in(char32_t c);

// Bytes spelled in stand-ins.
std::string to_byte_alphabet(std::string_view bytes);
// The bytes that a token's text spells; nullopt when some character is no stand-in. The text is
// valid UTF-8.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace tessera
