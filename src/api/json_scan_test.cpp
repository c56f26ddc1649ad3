#include "api/json_scan.h"

#include <gtest/gtest.h>

#include <string>

namespace tessera::api {
namespace {

TEST(JsonScan, FindsTheMemberOfTheTop) {
  const std::string text =
      R"({"a": "\"usage\":{", "b": [{"usage": 1}, "]"], "c": {"usage": 2}, "usage": {"x": [3]} })";
  EXPECT_EQ(top_level_member(text, "usage"), R"({"x": [3]} )");
  EXPECT_EQ(top_level_member(text, "b"), R"([{"usage": 1}, "]"])");
  EXPECT_EQ(top_level_member(R"({"n":-1.5e3,"m":null})", "n"), "-1.5e3");
  EXPECT_EQ(top_level_member(R"({"n":-1.5e3,"m":null})", "m"), "null");
  EXPECT_EQ(top_level_member(text, "x"), std::nullopt);
}

TEST(JsonScan, TextsThatAreCutOrWrong) {
  const std::string whole = R"({"a": "\\", "usage": {"x": 3}})";
  EXPECT_TRUE(top_level_member(whole, "usage"));
  // Cut anywhere before the value's end, there is no value.
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
    EXPECT_EQ(top_level_member(whole.substr(0, size), "usage"), std::nullopt) << size;
  }
  for (const char* text : {"[]", "1", "{}", "{\"usage\"}", "{\"usage\": \"\\", "{,", "}"}) {
    EXPECT_EQ(top_level_member(text, "usage"), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace tessera::api
