#include "text/utf8.h"
#include "text/text_search.h"

#include <gtest/gtest.h>

#include "text/unicode.h"

namespace tessera {
namespace {

constexpr auto kBad = "\xEF\xBF\xBD";

// Table 3-8 of the Unicode standard and the borders of table 3-7.
TEST(Utf8, ReplacesEachMaximalInvalidSubpartOnce) {
  const std::string b = kBad;
  EXPECT_EQ(utf8_sanitize("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            b + b + b + b + b + b + b + b + "A");
  EXPECT_EQ(utf8_sanitize("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"),
            b + b + b + b + b + b + b + b + "A");
  EXPECT_EQ(utf8_sanitize("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            b + b + b + b + b + "A" + b + b + "B");
  EXPECT_EQ(utf8_sanitize("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), b + b + b + b + "A");
  EXPECT_EQ(utf8_sanitize("\xF0\x9F\x98"), b);
  EXPECT_EQ(utf8_sanitize("plain and \xC3\xA9"), "plain and \xC3\xA9");
}

TEST(Utf8, ValidityAgreesWithReplacement) {
  unsigned seed = 1;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      seed = seed * 1664525u + 1013904223u;
      // Bytes near the borders of the table are where mistakes live.
      const char pool[] = {'a',    '\x80', '\xBF', '\xC2', '\xE0', '\xA0', '\xED', '\x9F',
                           '\xF0', '\x90', '\xF4', '\x8F', '\xEF', '\xFF', '\xC1'};
      text += pool[seed >> 16 & 0xFFFF ? (seed >> 16) % sizeof pool : 0];
    }
    const std::string replaced = utf8_sanitize(text);
    EXPECT_TRUE(utf8_valid(replaced));
    EXPECT_EQ(utf8_valid(text), replaced == text);
  }
}

TEST(Utf8, StepsForwardAndBack) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  std::size_t i = 0;
  EXPECT_TRUE(next_code_point(text, i) == U'a');
  EXPECT_TRUE(next_code_point(text, i) == U'\u00E9');
  EXPECT_TRUE(next_code_point(text, i) == U'\u20AC');
  EXPECT_TRUE(next_code_point(text, i) == U'\U0001F600');
  EXPECT_EQ(i, text.size());
  EXPECT_EQ(i = previous_code_point(text, i), 6u);
  EXPECT_EQ(i = previous_code_point(text, i), 3u);
  EXPECT_EQ(i = previous_code_point(text, i), 1u);
  std::string back;
  for (const char32_t c : {U'a', U'\u00E9', U'\u20AC', U'\U0001F600'}) append_utf8(back, c);
  EXPECT_EQ(back, text);
}

TEST(Unicode, WhiteSpaceIsTheProperty) {
  for (const char32_t c :
       {0x9, 0xD, 0x20, 0x85, 0xA0, 0x1680, 0x2000, 0x200A, 0x2028, 0x202F, 0x3000})
    EXPECT_TRUE(is_white_space(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {0x1C, 0x1F, 0x180E, 0x200B, 0x2060, 0xFEFF})
    EXPECT_FALSE(is_white_space(c)) << static_cast<unsigned>(c);
}

TEST(Unicode, CategoriesAndCase) {
  EXPECT_TRUE(category_bit(U'a') & kLetter);
  EXPECT_TRUE(category_bit(U'\u2167') & kNumber);  // Nl
  EXPECT_TRUE(category_bit(U'\u00BD') & kNumber);  // No
  EXPECT_TRUE(category_bit(U'\u00AB') & kPunctuation);
  EXPECT_TRUE(category_bit(U'_') & kConnector);
  EXPECT_TRUE(category_bit(U'\u0301') & kNonspacingMark);
  EXPECT_TRUE(category_bit(U'\u0378') & kOther);  // unassigned
  EXPECT_EQ(category_mask("L"), kLetter);
  EXPECT_EQ(category_mask("P"), kPunctuation);
  EXPECT_EQ(category_mask("C"), kOther);
  EXPECT_EQ(category_mask("Zebra"), 0u);
  std::string lower;
  for (const char32_t c : {U'\u0130', U'\u03A3', U'\u1E9E'}) append_lower(lower, c);
  EXPECT_EQ(lower, "i\xCC\x87\xCF\x83\xC3\x9F");
  EXPECT_TRUE(fold_case(U'\u017F') == U's');
}

TEST(Unicode, NormalForms) {
  EXPECT_EQ(normalize("e\xCC\x81", NormalForm::kNfc), "\xC3\xA9");
  EXPECT_EQ(normalize("\xC3\xA9", NormalForm::kNfd), "e\xCC\x81");
  EXPECT_EQ(normalize("\xEF\xAC\x81", NormalForm::kNfkc), "fi");
  EXPECT_EQ(normalize("\xEF\xAC\x81", NormalForm::kNfc), "\xEF\xAC\x81");
}

TEST(TextSearch, EqualsTheStandardSearch) {
  std::uint32_t state = 7;
  const auto random = [&](int) { return (state = state * 1664525 + 1013904223) >> 8; };
  for (int round = 0; round < 3000; ++round) {
    std::string text, part;
    const std::uint32_t letters = 1 + random(0) % 2;
    for (std::uint32_t i = random(0) % 120; i > 0; --i)
      text += static_cast<char>('a' + random(0) % (letters + 1));
    for (std::uint32_t i = random(0) % 40; i > 0; --i)
      part += static_cast<char>('a' + random(0) % (letters + 1));
    if (round % 2 == 0 && text.size() > 40) part = text.substr(text.size() / 3, 1 + random(0) % 40);
    EXPECT_EQ(find_text(text, part), text.find(part)) << text << " " << part;
    EXPECT_EQ(find_text(text, part, 5), text.find(part, 5)) << text << " " << part;
    EXPECT_EQ(rfind_text(text, part), text.rfind(part)) << text << " " << part;
  }
}

}  // namespace
}  // namespace tessera
