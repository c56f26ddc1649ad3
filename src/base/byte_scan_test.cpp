#include "base/byte_scan.h"

#include <gtest/gtest.h>

#include <string>

namespace tessera {
namespace {

// Every byte value at every place of texts that end within a word, at its end and after it.
TEST(ByteScan, FindsControlCharactersWhereverTheyAre) {
  for (std::size_t size = 1; size <= 17; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'x');
        text[at] = static_cast<char>(byte);
        const bool control = byte < 0x20 || byte == 0x7F;
        ASSERT_EQ(has_control(text), control) << size << ' ' << at << ' ' << byte;
      }
    }
  }
  EXPECT_FALSE(has_control(""));
}

TEST(ByteScan, StopsAtTheFirst) {
  const auto any = [](ByteFlags flags) { return flags.equal('"') | flags.not_ascii(); };
  const auto is = [](char c) { return c == '"' || static_cast<unsigned char>(c) >= 0x80; };
  // What follows the first, here a byte that differs from it in the lowest bit, hides nothing.
  const std::string text = "0123456789\"#\x80";
  EXPECT_EQ(scan(text, 0, any, is), 10u);
  EXPECT_EQ(scan(text, 11, any, is), 12u);
  EXPECT_EQ(scan(text, 13, any, is), 13u);
  EXPECT_EQ(scan("plain text", 0, any, is), 10u);
}

TEST(ByteScan, BelowIsExactAtItsLimit) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(8, static_cast<char>(byte));
    EXPECT_EQ(ByteFlags(text.data()).below(0x20) != 0, byte < 0x20) << byte;
    EXPECT_EQ(ByteFlags(text.data()).equal('a') != 0, byte == 'a') << byte;
    EXPECT_EQ(ByteFlags(text.data()).not_ascii() != 0, byte >= 0x80) << byte;
  }
}

}  // namespace
}  // namespace tessera
