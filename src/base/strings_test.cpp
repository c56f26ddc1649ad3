#include "base/strings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

namespace tessera {
namespace {

TEST(Utf8, ValidAndInvalid) {
  for (std::string_view good : {"", "abc", "\xC2\x80", "\xE2\x82\xAC", "\xEF\xBF\xBF",
                                "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"}) {
    EXPECT_TRUE(utf8_valid(good)) << hex_encode(good);
    EXPECT_EQ(utf8_sanitize(good), good);
  }
  for (std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80", "\xFF", "\xE2\x82", "a\xC3"}) {
    EXPECT_FALSE(utf8_valid(bad)) << hex_encode(bad);
    EXPECT_TRUE(utf8_valid(utf8_sanitize(bad)));
  }
}

TEST(Utf8, MaximalSubpartsAsInTheUnicodeStandard) {
  // Unicode 15, table 3-8.
  EXPECT_EQ(utf8_sanitize("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
}

TEST(Utf8, LengthPrefixAppend) {
  EXPECT_EQ(utf8_length("aé€😀"), 4u);
  EXPECT_EQ(utf8_prefix("aé€😀", 3), "aé€");
  EXPECT_EQ(utf8_prefix("ab", 9), "ab");
  std::string out;
  for (char32_t c : {U'a', U'é', U'€', U'😀', char32_t{0xD800}}) append_utf8(out, c);
  EXPECT_EQ(out, "aé€😀\uFFFD");
  EXPECT_EQ(quote_for_message("\xFF"), "'\uFFFD'");
  EXPECT_EQ(quote_for_message(std::string(101, 'x')), "'" + std::string(100, 'x') + "…'");
}

TEST(Codecs, RoundTripAndRefuse) {
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all += static_cast<char>(i);
    EXPECT_EQ(hex_decode(hex_encode(all)), all);
    EXPECT_EQ(base64_decode(base64_encode(all)), all);
    EXPECT_EQ(base64_decode(base64url_encode(all)), all);
    EXPECT_EQ(url_decode(url_encode(all)), all);
  }
  EXPECT_EQ(base64_encode("foob"), "Zm9vYg==");  // RFC 4648, section 10
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_encode(""), "");
  for (const char* bad : {"A", "Zm9v!A==", "Zg=", "Zg===", "Z=g=", "===="}) {
    EXPECT_EQ(base64_decode(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(hex_decode("0g"), std::nullopt);
  EXPECT_EQ(hex_decode("0"), std::nullopt);
  for (const char* bad : {"%", "%1", "%zz", "a%2"}) EXPECT_EQ(url_decode(bad), std::nullopt) << bad;
  EXPECT_EQ(url_decode("a+b%20c", true), "a b c");
  EXPECT_EQ(url_encode("a/b c", true), "a/b%20c");
}

TEST(Text, SplitTrimCase) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
  EXPECT_EQ(trim(" \t a b \n"), "a b");
  EXPECT_EQ(trim("   "), "");
  EXPECT_TRUE(iequals("Content-TYPE", "content-type"));
  EXPECT_FALSE(iequals("a", "ab"));
  EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
  EXPECT_EQ(to_upper("aé1z"), "Aé1Z");
}

TEST(Numbers, ParseWholeTextOnly) {
  EXPECT_EQ(parse_int("-12"), -12);
  for (const char* bad : {"", "1x", " 1", "1.0", "9223372036854775808", "0x1"}) {
    EXPECT_EQ(parse_int(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_double("1.5e3"), 1500.0);
  EXPECT_EQ(parse_double("1.5x"), std::nullopt);
}

TEST(Numbers, ShortestFloatRoundTrips) {
  auto print = [](float value) {
    std::string out;
    append_float(out, value);
    return out;
  };
  EXPECT_EQ(print(0.1f), "0.1");
  EXPECT_EQ(print(1.0f), "1.0");
  EXPECT_EQ(print(-0.0f), "-0.0");
  EXPECT_EQ(print(std::numeric_limits<float>::infinity()), "null");
  std::mt19937 random(1);
  for (int i = 0; i < 10000; ++i) {
    std::uint32_t bits = random();
    float value;
    static_assert(sizeof(value) == sizeof(bits));
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    EXPECT_EQ(std::strtof(print(value).c_str(), nullptr), value) << print(value);
  }
}

}  // namespace
}  // namespace tessera
