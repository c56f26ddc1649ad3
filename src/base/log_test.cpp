#include "base/log.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace tessera {
namespace {

class Log : public testing::Test {
 protected:
  Log() {
    set_log_sink([this](std::string_view line) { lines_.emplace_back(line); });
    set_log_level(LogLevel::kInfo);
  }
  ~Log() override {
    set_log_sink({});
    set_log_level(LogLevel::kInfo);
  }
  std::vector<std::string> lines_;
};

TEST_F(Log, OneLineWithFields) {
  log_info("http", "listening",
           {{"port", 80}, {"tls", true}, {"load", 0.5}, {"name", "a\nb \"c\""}});
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0].substr(24),
            " INFO http: listening port=80 tls=true load=0.5 name=\"a\\nb \\\"c\\\"\"");
  EXPECT_EQ(lines_[0][23], 'Z');
}

TEST_F(Log, BelowTheLevelIsSilent) {
  log_debug("http", "hidden");
  set_log_level(LogLevel::kOff);
  log_error("http", "hidden");
  EXPECT_TRUE(lines_.empty());
  EXPECT_FALSE(log_enabled(LogLevel::kError));
}

TEST(LogLevelText, Parses) {
  EXPECT_EQ(parse_log_level("WARN"), LogLevel::kWarn);
  EXPECT_THROW(parse_log_level("loud"), Error);
}

}  // namespace
}  // namespace tessera
