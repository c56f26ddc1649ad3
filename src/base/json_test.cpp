#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace tessera {
namespace {

Error error_of(auto&& act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error thrown";
  return Error(ErrorKind::kInternal, "none");
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ParseJson, AcceptsWhatTheRulesAllow) {
  EXPECT_TRUE(parse_json("\xEF\xBB\xBF {\"a\":1} ").is_object());   // byte-order mark
  EXPECT_EQ(parse_json(R"({"a":1,"a":2})").at("a").as_int64(), 2);  // the last wins
  EXPECT_NO_THROW(parse_json(nested(256)));
  EXPECT_EQ(parse_json(R"("\ud83d\ude00")").as_string(), "\xF0\x9F\x98\x80");
  EXPECT_EQ(parse_json("-0.5e1").as_double(), -5.0);
}

TEST(ParseJson, RefusesWithReasonAndOffset) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "{\"a\":}",
                           "[1,]",
                           "NaN",
                           "Infinity",
                           "-Infinity",
                           "{} x",
                           "{a:1}",
                           "'a'",
                           "01",
                           "1.",
                           "\"\\ud800\"",
                           "\"\\udc00\"",
                           "\"\\ud800x\"",
                           "\"\n\"",
                           "// c\n1",
                           "tru",
                           "\"\xFF\"",
                           "\"\xC0\x80\"",
                           "\"\xED\xA0\x80\"",
                           "\"\xF4\x90\x80\x80\"",
                           "\"\xE2\x82\"",
                           "\xEF\xBB\xBF\xEF\xBB\xBF{}",
                           "\xFF\xFE{\0}\0"}) {
    Error error = error_of([&] { parse_json(text); });
    EXPECT_EQ(error.kind, ErrorKind::kBadJson) << text;
    EXPECT_TRUE(error.message.starts_with("Bad request: ")) << error.message;
    EXPECT_NE(error.message.find(" at byte "), std::string::npos) << error.message;
  }
  EXPECT_EQ(error_of([] { parse_json(nested(257)); }).kind, ErrorKind::kBadJson);
  EXPECT_NE(error_of([] { parse_json(R"({"a": x})"); }).message.find("at byte 6"),
            std::string::npos);
  EXPECT_NE(error_of([] { parse_json("{} x"); }).message.find("at byte 3"), std::string::npos);
}

TEST(ParseJson, NumberBeyondDoubleIsOutOfRange) {
  EXPECT_EQ(error_of([] { parse_json("1e999"); }).kind, ErrorKind::kOutOfRange);
  EXPECT_EQ(error_of([] { parse_json(R"({"a":[-1e400]})"); }).kind, ErrorKind::kOutOfRange);
  EXPECT_EQ(error_of([] { parse_json("1e99999999999999"); }).kind, ErrorKind::kOutOfRange);
  EXPECT_EQ(error_of([] { parse_json("1" + std::string(400, '0')); }).kind, ErrorKind::kOutOfRange);
}

TEST(ParseJson, BodyMustBeAnObject) {
  EXPECT_EQ(parse_json_object("{\"n\":1}").size(), 1u);
  EXPECT_NE(error_of([] { parse_json_object("[1]"); }).message.find("an array"), std::string::npos);
}

TEST(ToJson, WritesValidJsonAlways) {
  json::value value = parse_json(
      R"({"z":[1,-2,3.5,true,null,"q\"\\\n\u0001é"],"a":{"big":18446744073709551615,"f":0.1}})");
  EXPECT_EQ(
      to_json(value),
      R"({"z":[1,-2,3.5,true,null,"q\"\\\n\u0001é"],"a":{"big":18446744073709551615,"f":0.1}})");
  EXPECT_EQ(to_json(json::value(1.0)), "1.0");
  EXPECT_EQ(to_json(json::value(NAN)), "null");
  EXPECT_EQ(to_json(json::value("a\xFFz")), "\"a\xEF\xBF\xBDz\"");
  EXPECT_EQ(to_json(json::value("\xE2\x82")), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(Readers, NullIsAbsentAndIntegralFloatsAreIntegers) {
  json::object o = parse_json_object(
      R"({"s":"x","i":5,"f":5.0,"e":1e2,"h":0.5,"b":true,"n":null,"a":[1],"o":{"k":1},"d":"12"})");
  EXPECT_EQ(get_string(o, "s"), "x");
  EXPECT_EQ(get_string(o, "n"), std::nullopt);
  EXPECT_EQ(get_string(o, "absent"), std::nullopt);
  EXPECT_EQ(get_int(o, "i"), 5);
  EXPECT_EQ(get_int(o, "f"), 5);
  EXPECT_EQ(get_int(o, "e"), 100);
  EXPECT_EQ(get_number(o, "i"), 5.0);
  EXPECT_EQ(get_bool(o, "b"), true);
  EXPECT_EQ(get_array(o, "n"), nullptr);
  EXPECT_EQ(get_array(o, "a")->size(), 1u);
  EXPECT_EQ(get_object(o, "o")->size(), 1u);
  EXPECT_EQ(get_int_or_digits(o, "d"), 12);
  EXPECT_EQ(get_string_or_int(o, "f"), "5");
  EXPECT_EQ(get_string_or_int(o, "d"), "12");
}

TEST(Readers, ErrorsNamePathExpectedAndReceived) {
  json::object o =
      parse_json_object(R"({"h":0.5,"s":"12","b":1,"big":1e30,"u":9223372036854775808})");
  Error wrong = error_of([&] { get_int(o, "h", "messages[2]"); });
  EXPECT_EQ(wrong.kind, ErrorKind::kWrongType);
  EXPECT_EQ(wrong.param, "messages[2].h");
  EXPECT_EQ(wrong.message,
            "Invalid type for 'messages[2].h': expected an integer, but got a number instead.");
  EXPECT_EQ(error_of([&] { get_int(o, "s"); }).kind, ErrorKind::kWrongType);
  EXPECT_EQ(error_of([&] { get_bool(o, "b"); }).kind, ErrorKind::kWrongType);
  EXPECT_EQ(error_of([&] { get_string(o, "b"); }).kind, ErrorKind::kWrongType);
  EXPECT_EQ(error_of([&] { get_int_or_digits(parse_json_object(R"({"x":"1a"})"), "x"); }).kind,
            ErrorKind::kWrongType);
  EXPECT_EQ(error_of([&] { get_int(o, "big"); }).code, "integer_above_max_value");
  EXPECT_EQ(error_of([&] { get_int(o, "u"); }).kind, ErrorKind::kOutOfRange);
  Error missing = error_of([&] { require_string(o, "model"); });
  EXPECT_EQ(missing.kind, ErrorKind::kMissingParam);
  EXPECT_EQ(missing.message, "Missing required parameter: 'model'.");
}

TEST(Checks, RangesAndLengths) {
  EXPECT_NO_THROW(check_range(std::int64_t{5}, 1, 5, "n"));
  EXPECT_EQ(error_of([] { check_range(std::int64_t{6}, 1, 5, "n"); }).code,
            "integer_above_max_value");
  EXPECT_EQ(error_of([] { check_range(-0.1, 0.0, 2.0, "temperature"); }).code,
            "decimal_below_min_value");
  EXPECT_EQ(error_of([] { check_range(NAN, 0.0, 2.0, "temperature"); }).kind,
            ErrorKind::kOutOfRange);
  EXPECT_EQ(error_of([] { check_length(17, 0, 16, "stop"); }).code, "array_above_max_length");
}

}  // namespace
}  // namespace tessera
