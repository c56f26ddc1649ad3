// Properties and normal forms of Unicode characters, from ICU.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tessera {

// General categories as bits: category_bit(c) & kLetter. Two-letter categories follow ICU's order
// (u_charType), so that a set of categories is one word.
std::uint32_t category_bit(char32_t c);
// The same by the Unicode 8 tables that BERT's reference pipeline knows: later characters count as
// unassigned, and six have changed since.
std::uint32_t category_bit_unicode8(char32_t c);
// The same by Unicode 14, which the regular expressions of the tokenizers library know: characters
// of 2022 and later count as unassigned there.
std::uint32_t category_bit_unicode14(char32_t c);
// Bits of "L", "Lu", "Letter", "N", "P", …; 0 when the name is unknown.
std::uint32_t category_mask(std::string_view name);

inline constexpr std::uint32_t kLetter = 0x1F << 1;                  // Lu Ll Lt Lm Lo
inline constexpr std::uint32_t kNonspacingMark = 1 << 6;             // Mn
inline constexpr std::uint32_t kMark = 0x7 << 6;                     // Mn Me Mc
inline constexpr std::uint32_t kDecimalNumber = 1 << 9;              // Nd
inline constexpr std::uint32_t kNumber = 0x7 << 9;                   // Nd Nl No
inline constexpr std::uint32_t kOther = 1 | 0xF << 15;               // Cn, Cc Cf Co Cs
inline constexpr std::uint32_t kConnector = 1 << 22;                 // Pc
inline constexpr std::uint32_t kPunctuation = 0x1F << 19 | 3 << 28;  // Pd Ps Pe Pc Po, Pi Pf

bool is_white_space(char32_t c);  // the White_Space property
// \w of UTS #18, annex C: alphabetic, marks, decimal numbers, connectors, join controls.
bool is_word(char32_t c);
char32_t fold_case(char32_t c);  // simple case folding

// Full lower-case mapping of each character by itself (no final-sigma rule).
void append_lower(std::string& out, char32_t c);

// Extended grapheme clusters (UAX #29) in order. Requires valid UTF-8.
void for_each_grapheme(std::string_view text, const std::function<void(std::string_view)>& handle);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// Requires valid UTF-8.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace tessera
