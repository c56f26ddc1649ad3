#include "text/regex.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera {
namespace {

// All matches, joined with '|'.
std::string matches(std::string_view pattern, std::string_view text) {
  const Regex regex(pattern);
  std::size_t budget = Regex::step_budget(text.size());
  std::string out;
  for (std::size_t from = 0; from <= text.size();) {
    const auto match = regex.find(text, from, budget);
    if (!match) break;
    if (!out.empty()) out += '|';
    out += text.substr(match->first, match->second - match->first);
    from = match->second > match->first ? match->second : match->second + 1;
  }
  return out;
}

TEST(Regex, Quantifiers) {
  EXPECT_EQ(matches("a*b", "aab b ab"), "aab|b|ab");
  EXPECT_EQ(matches("a{2,3}", "aaaaaa a aa"), "aaa|aaa|aa");
  EXPECT_EQ(matches("a{2}", "aaaaa"), "aa|aa");
  EXPECT_EQ(matches("a{,2}b", "aaab"), "aab");
  EXPECT_EQ(matches("<.+>", "<a><b>"), "<a><b>");
  EXPECT_EQ(matches("<.+?>", "<a><b>"), "<a>|<b>");
  EXPECT_EQ(matches("a++a", "aaa"), "");
  EXPECT_EQ(matches("a?+a", "ab aa"), "aa");
  EXPECT_EQ(matches("(?:ab|a)(?:bc|c)?", "abc ac"), "abc|ac");
  EXPECT_EQ(matches("(?:a|ab)(?:c|bcd)(?:d*)x", "abcdx"), "abcdx");
  EXPECT_EQ(matches("(?>a|ab)c", "abc"), "");
  EXPECT_EQ(matches("x{,}", "x{,}"), "x{,}");  // no interval, so a literal
}

TEST(Regex, ClassesAndCase) {
  EXPECT_EQ(matches(R"([^\s\p{L}]+)", "ab 12,ä!"), "12,|!");
  EXPECT_EQ(matches(R"(\p{Lu}\p{Ll}+)", "Ärger und Zorn"), "Ärger|Zorn");
  EXPECT_EQ(matches(R"(\P{L}+)", "ab12cd"), "12");
  EXPECT_EQ(matches(R"(\p{^L}+)", "ab12cd"), "12");
  EXPECT_EQ(matches(R"([a-c-]+)", "a-c d b"), "a-c|b");
  EXPECT_EQ(matches(R"([\]\-x]+)", "a]-x"), "]-x");
  EXPECT_EQ(matches(R"([[a-c][^a-y]]+)", "abcxyz"), "abc|z");
  EXPECT_EQ(matches(R"((?i:'s|'LL))", "it'S we'll '\u017F"), "'S|'ll|'\u017F");
  EXPECT_EQ(matches(R"(a(?i)b|c)", "aB ac aC AB"), "aB|ac|aC");
  EXPECT_EQ(matches(R"(\x41\u0042\x{1F600})", "AB\U0001F600"), "AB\U0001F600");
  EXPECT_EQ(matches(R"(\h+)", "xfFg09"), "fF|09");
  EXPECT_EQ(matches(R"(\p{Han}+)", "a漢字b"), "漢字");
}

TEST(Regex, Assertions) {
  EXPECT_EQ(matches(R"(\s+(?!\S)|\s+)", "a   b "), "  | | ");
  EXPECT_EQ(matches(R"((?<=a)b)", "ab cb"), "b");
  EXPECT_EQ(matches(R"((?<!a)b.)", "ab1 cb2"), "b2");
  EXPECT_EQ(matches(R"(\bth\w+)", "the other this"), "the|this");
  EXPECT_EQ(matches(R"(\Bs\b)", "s as is"), "s|s");
  EXPECT_EQ(matches(R"(^\w|\w$)", "ab\ncd"), "a|b|c|d");
  EXPECT_EQ(matches(R"(\A\w|\w\z)", "ab\ncd"), "a|d");
  EXPECT_EQ(matches("a.b", "a\nb"), "");
  EXPECT_EQ(matches("(?m:a.b)", "a\nb"), "a\nb");
}

TEST(Regex, EmptyRoundsEndLoops) {
  EXPECT_EQ(matches("(?:a*)*b", "aab"), "aab");
  EXPECT_EQ(matches("(?:a|b?)*c", "abac"), "abac");
  EXPECT_EQ(matches("(?:)*x", "x"), "x");
}

TEST(Regex, RefusesByName) {
  for (const char* pattern :
       {"(", ")", "[a", "a**+*?**********", "*a", R"(\1)", R"(\p{Zebra})", R"(\pL)", "[a&&b]",
        "[[:alpha:]]", "a{3,2}", "a{2000}", "\\", R"(\x{110000})", R"(\uD800)", "(?x:a)", "\xFF"}) {
    try {
      Regex regex(pattern);
      ADD_FAILURE() << pattern;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kUnsupportedModel) << pattern;
      EXPECT_NE(error.message.find("egular expression"), std::string::npos);
    }
  }
  std::string bomb = "a";
  for (int i = 0; i < 20; ++i) bomb = "(?:" + bomb + "){100}";
  EXPECT_THROW(Regex{bomb}, Error);
  std::string empty_bomb = "";
  for (int i = 0; i < 20; ++i) empty_bomb = "(?:" + empty_bomb + "){1000}";
  EXPECT_THROW(Regex{empty_bomb}, Error);
  EXPECT_THROW(Regex(std::string(100000, '(')), Error);
  EXPECT_THROW(Regex(std::string(100000, '[')), Error);
}

TEST(Regex, CatastropheRunsIntoTheBudget) {
  const Regex regex("(?:a+)+b");
  const std::string text(64, 'a');
  std::size_t budget = Regex::step_budget(text.size());
  EXPECT_THROW(regex.find(text, 0, budget), Error);
}

TEST(Regex, LongRunsNeedNoDeepStack) {
  const std::string text(1 << 20, ' ');
  EXPECT_EQ(matches(R"(\s+(?!\S)|\s+)", text + "x").size(), text.size() + 1);  // all but one, one
  EXPECT_EQ(matches(R"((?: |\t)+)", text).size(), text.size());
}

}  // namespace
}  // namespace tessera
