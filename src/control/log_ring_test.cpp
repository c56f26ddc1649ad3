#include "control/log_ring.h"

#include <gtest/gtest.h>

namespace tessera::control {
namespace {

TEST(LogRing, KeepsTheNewestWholeLines) {
  LogRing ring(20);
  for (int i = 0; i < 100; ++i) ring.append("line " + std::to_string(i) + "\n");
  EXPECT_EQ(ring.text(), "line 98\nline 99\n");
}

TEST(LogRing, LastLineSkipsBlankOnes) {
  LogRing ring(100);
  EXPECT_EQ(ring.last_line(), "");
  ring.append("\n \n");
  EXPECT_EQ(ring.last_line(), "");
  ring.append("first\nsecond \n\n\t\n");
  EXPECT_EQ(ring.last_line(), "second");
  ring.append("no newline");
  EXPECT_EQ(ring.last_line(), "no newline");
}

TEST(LogRing, ForeignBytesBecomeText) {
  LogRing ring(100);
  ring.append("\xff\xfe ok\n");
  EXPECT_EQ(ring.last_line(), "\xEF\xBF\xBD\xEF\xBF\xBD ok");
}

}  // namespace
}  // namespace tessera::control
