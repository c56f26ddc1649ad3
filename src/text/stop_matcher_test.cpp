#include "text/stop_matcher.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

// Pushes the text in pieces of `step` bytes: "text" or "text<match>".
std::string run(std::vector<std::string> stops, std::string_view text, std::size_t step,
                bool include = false) {
  StopMatcher matcher(std::move(stops), include);
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += step) {
    const auto output = matcher.push(text.substr(i, step));
    out += output.text;
    if (output.match) return out + "<" + *output.match + ">";
  }
  const auto output = matcher.finish();
  out += output.text;
  return output.match ? out + "<" + *output.match + ">" : out;
}

TEST(StopMatcher, CutsAtTheMatchHoweverTheTextArrives) {
  for (std::size_t step = 1; step <= 12; ++step) {
    EXPECT_EQ(run({"END"}, "some text END more", step), "some text <END>");
    EXPECT_EQ(run({"END"}, "some text END more", step, true), "some text END<END>");
    EXPECT_EQ(run({"aab"}, "aaaab!", step), "aa<aab>");
    EXPECT_EQ(run({"aab"}, "aaa", step), "aaa");
    EXPECT_EQ(run({}, "anything", step), "anything");
    EXPECT_EQ(run({""}, "anything", step), "anything");
  }
}

TEST(StopMatcher, EarliestStartWinsThenTheLongest) {
  for (std::size_t step = 1; step <= 6; ++step) {
    EXPECT_EQ(run({"bc", "abcd"}, "xabcd", step), "x<abcd>");
    EXPECT_EQ(run({"bc", "abcd"}, "xabce", step), "xa<bc>");
    EXPECT_EQ(run({"bc", "abcd"}, "xabc", step), "xa<bc>");  // known at the end only
    EXPECT_EQ(run({"\n", "\n\n"}, "a\n\nb", step), "a<\n\n>");
    EXPECT_EQ(run({"\n", "\n\n"}, "a\nb", step), "a<\n>");
    EXPECT_EQ(run({"\n", "\n\n"}, "a\n", step), "a<\n>");
  }
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBecomeAStop) {
  StopMatcher matcher({"stop"}, false);
  EXPECT_EQ(matcher.push("go st").text, "go ");
  EXPECT_EQ(matcher.push("a").text, "sta");
  EXPECT_EQ(matcher.push("sto").text, "");
  EXPECT_EQ(matcher.finish().text, "sto");
  // Whole characters only: stop strings are UTF-8, so a held suffix begins with a character.
  StopMatcher euro({"€€"}, false);
  EXPECT_EQ(euro.push("1€").text, "1");
  EXPECT_EQ(euro.push("2").text, "€2");
}

}  // namespace
}  // namespace tessera
