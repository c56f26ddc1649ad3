#include "base/config.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/error.h"

namespace tessera {
namespace {

using std::chrono::milliseconds;

TEST(Bytes, ParseAndFormat) {
  EXPECT_EQ(parse_bytes("4GiB", "x"), std::int64_t{4} << 30);
  EXPECT_EQ(parse_bytes(" 512 MiB ", "x"), 512 << 20);
  EXPECT_EQ(parse_bytes("1.5k", "x"), 1536);
  EXPECT_EQ(parse_bytes("10kB", "x"), 10000);
  EXPECT_EQ(parse_bytes("4096", "x"), 4096);
  EXPECT_EQ(parse_bytes("7B", "x"), 7);
  for (const char* bad : {"", "G", "-1", "1X", "1GiBs", "1.2.3", "9999999T", "inf", "1e3"}) {
    EXPECT_THROW(parse_bytes(bad, "--kv-cache"), Error) << bad;
  }
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(3758096384), "3.5 GiB");
}

TEST(Duration, ParseAndFormat) {
  EXPECT_EQ(parse_duration("30s", "x"), milliseconds(30000));
  EXPECT_EQ(parse_duration("250ms", "x"), milliseconds(250));
  EXPECT_EQ(parse_duration("1h30m", "x"), milliseconds(5400000));
  EXPECT_EQ(parse_duration("1.5", "x"), milliseconds(1500));
  for (const char* bad : {"", "s", "-1s", "1y", "1h30x", "9999999999999d"}) {
    EXPECT_THROW(parse_duration(bad, "--timeout"), Error) << bad;
  }
  EXPECT_EQ(format_duration(milliseconds(5400000)), "1h30m");
  EXPECT_EQ(format_duration(milliseconds(0)), "0s");
}

TEST(Rfc3339, RoundTripAndRefuse) {
  EXPECT_EQ(format_rfc3339(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(1714979289123), "2024-05-06T07:08:09.123Z");
  EXPECT_EQ(parse_rfc3339("2024-05-06T07:08:09.123Z"), 1714979289123);
  EXPECT_EQ(parse_rfc3339("2024-05-06T09:08:09.123456+02:00"), 1714979289123);
  EXPECT_EQ(parse_rfc3339("2024-05-06T07:08:09Z"), 1714979289000);
  for (const char* bad : {"", "2024", "2024-13-06T07:08:09Z", "2024-02-30T07:08:09Z",
                          "2024-05-06T07:08:09", "2024-05-06T24:08:09Z", "2024-05-06T07:08:09.Z",
                          "2024-05-06T07:08:09+2:00", "2024-05-06T07:08:09Zx"}) {
    EXPECT_EQ(parse_rfc3339(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace tessera
