#include "text/split_patterns.h"

#include <gtest/gtest.h>

#include "text/regex.h"
#include "text/utf8.h"

namespace tessera {
namespace {

std::string pieces(SplitPattern pattern, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = next_piece(pattern, text, i);
    out += "[" + std::string(text.substr(i, end - i)) + "]";
    i = end;
  }
  return out;
}

TEST(SplitPatterns, Gpt2) {
  const auto cut = [](std::string_view text) { return pieces(SplitPattern::kGpt2, text); };
  EXPECT_EQ(cut("Hello world's 123abc!?"), "[Hello][ world]['s][ 123][abc][!?]");
  EXPECT_EQ(cut("  a   b  "), "[ ][ a][  ][ b][  ]");
  EXPECT_EQ(cut("'S 'll"), "['][S][ '][ll]");
  EXPECT_EQ(cut("\t\tx"), "[\t][\t][x]");
}

TEST(SplitPatterns, Llama3) {
  const auto cut = [](std::string_view text) { return pieces(SplitPattern::kLlama3, text); };
  EXPECT_EQ(cut("Hello world'S 12345abc!?\n\nx"),
            "[Hello][ world]['S][ ][123][45][abc][!?\n\n][x]");
  EXPECT_EQ(cut(" \n \n x"), "[ \n \n][ x]");
  EXPECT_EQ(cut("\n "), "[\n][ ]");
  EXPECT_EQ(cut("\u00A0word (x)"), "[\u00A0word][ (][x][)]");
  EXPECT_EQ(cut("'\u017Fo"), "['\u017F][o]");
  EXPECT_EQ(pieces(SplitPattern::kQwen2, "123"), "[1][2][3]");
}

// The scanners against the general engine on the patterns' own text.
TEST(SplitPatterns, ScannersEqualTheirExpressions) {
  const char32_t pool[] = {
      U'a',          U'Z',      U's',      U'l',      U'L',      U'\'',     U'\u017F', U'1',
      U'9',          U'\u00BD', U'\u0663', U' ',      U' ',      U'\t',     U'\n',     U'\r',
      U'.',          U'/',      U'\u00E9', U'\u4E16', U'\u0301', U'\u00A0', U'\u3000', U'\u200B',
      U'\U0001F600', U'd',      U'r',      U'e',      U'v',      U'm',      U't',      U'\u0085'};
  unsigned seed = 5;
  for (const auto& [known, expression] : {std::pair(SplitPattern::kGpt2, kGpt2Pattern),
                                          std::pair(SplitPattern::kLlama3, kLlama3Pattern),
                                          std::pair(SplitPattern::kQwen2, kQwen2Pattern)}) {
    EXPECT_EQ(known_split_pattern(expression), known);
    const Regex regex(expression);
    for (int round = 0; round < 4000; ++round) {
      std::string text;
      for (int i = 0; i < 14; ++i) {
        seed = seed * 1664525u + 1013904223u;
        append_utf8(text, pool[(seed >> 16) % std::size(pool)]);
      }
      std::size_t budget = Regex::step_budget(text.size());
      for (std::size_t i = 0; i < text.size();) {
        const auto match = regex.find(text, i, budget);
        ASSERT_TRUE(match && match->first == i) << text;
        const std::size_t end = next_piece(known, text, i);
        ASSERT_EQ(end, match->second) << "'" << text << "' at " << i;
        i = end;
      }
    }
  }
}

}  // namespace
}  // namespace tessera
