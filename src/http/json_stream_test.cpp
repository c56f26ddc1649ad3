#include "http/json_stream.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera::http {
namespace {

template <class Parser>
std::vector<std::string> cut(Parser parser, std::string_view text, std::size_t step) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < text.size(); i += step) {
    for (std::string& event : parser.feed(text.substr(i, step))) all.push_back(std::move(event));
  }
  if constexpr (requires { parser.finish(); }) {
    for (std::string& event : parser.finish()) all.push_back(std::move(event));
  }
  return all;
}

TEST(Ndjson, LinesCutAnywhere) {
  const std::string text = "{\"a\":\"\xE2\x80\xA8 é 漢 😀\"}\r\n\n  \n{\"b\":1}\n{\"last\":true}";
  const std::vector<std::string> wanted = {"{\"a\":\"\xE2\x80\xA8 é 漢 😀\"}", "{\"b\":1}",
                                           "{\"last\":true}"};
  for (std::size_t step = 1; step <= text.size(); ++step) {
    EXPECT_EQ(cut(NdjsonParser(), text, step), wanted) << step;
  }
}

TEST(Ndjson, Limit) {
  NdjsonParser parser(8);
  EXPECT_EQ(parser.feed("12345678\n").size(), 1u);
  EXPECT_THROW(parser.feed("123456789"), Error);
  NdjsonParser grown(8);
  grown.feed("12345678");
  EXPECT_THROW(grown.feed("9"), Error);
}

TEST(JsonArray, ElementsCutAnywhere) {
  const std::string text =
      "[{\"t\":\"a]}\\\"[ \xE2\x80\xA8\",\"n\":[1,{\"x\":[]}]}\r\n,\r\n{} , {\"b\":\"\\\\\"}]\n";
  const std::vector<std::string> wanted = {"{\"t\":\"a]}\\\"[ \xE2\x80\xA8\",\"n\":[1,{\"x\":[]}]}",
                                           "{}", "{\"b\":\"\\\\\"}"};
  for (std::size_t step = 1; step <= text.size(); ++step) {
    EXPECT_EQ(cut(JsonArrayParser(), text, step), wanted) << step;
  }
}

TEST(JsonArray, OtherForms) {
  EXPECT_TRUE(cut(JsonArrayParser(), "[]", 1).empty());
  // An error that comes bare.
  EXPECT_EQ(cut(JsonArrayParser(), " {\"error\":{}} x", 3),
            std::vector<std::string>{"{\"error\":{}}"});
  for (const char* bad : {"<html>", "[1]", "[[{}]]", "\"a\"", "[{},5]"}) {
    EXPECT_THROW(cut(JsonArrayParser(), bad, 1), Error) << bad;
  }
  JsonArrayParser half;
  half.feed("[{\"a\":");
  EXPECT_FALSE(half.whole());
  half.feed("1}");
  EXPECT_TRUE(half.whole());
  EXPECT_THROW(JsonArrayParser(4).feed("[{\"abc\":1}"), Error);
}

}  // namespace
}  // namespace tessera::http
