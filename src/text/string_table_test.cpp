#include "text/string_table.h"

#include <gtest/gtest.h>

#include "text/token_bytes.h"

namespace tessera {
namespace {

TEST(PackedStrings, GivesBackWhatItWasGiven) {
  for (const std::size_t count : {0, 1, 31, 32, 33, 1000}) {
    std::vector<std::string> strings;
    for (std::size_t i = 0; i < count; ++i) strings.push_back(std::string(i % 7, 'a') + 'b');
    const PackedStrings packed(strings);
    ASSERT_EQ(packed.size(), count);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(packed[i], strings[i]);
  }
  EXPECT_EQ(PackedStrings().size(), 0u);
}

TEST(PackedStrings, StringsMayBeLongerThanAGroupUsuallyIs) {
  std::vector<std::string> strings(100, "short");
  for (const std::size_t size : {65535 - 31 * 5, 65536, 200'000}) {
    strings[40] = std::string(size, 'x');
    strings[41] = std::string(size, 'y');
    const PackedStrings packed(strings);
    ASSERT_EQ(packed.size(), 100u);
    for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(packed[i], strings[i]) << i;
  }
}

TEST(StringTable, FindsWhatWasChosenAndNothingElse) {
  std::vector<std::string> strings;
  std::vector<std::int32_t> even;
  for (int i = 0; i < 20'000; ++i) {
    strings.push_back("word" + std::to_string(i));
    if (i % 2 == 0) even.push_back(i);
  }
  const PackedStrings packed(strings);
  const StringTable table(packed, even);
  for (int i = 0; i < 20'000; ++i) {
    EXPECT_EQ(table.find_or_negative(strings[i]), i % 2 == 0 ? i : -1);
  }
  EXPECT_EQ(table.find("wor"), std::nullopt);
  EXPECT_EQ(table.longest(), 9u);
  EXPECT_EQ(StringTable().find("word0"), std::nullopt);
}

TEST(StringTable, OfEqualStringsTheLastCounts) {
  const PackedStrings packed(std::vector<std::string>{"a", "b", "a"});
  const std::vector<std::int32_t> all{0, 1, 2};
  EXPECT_EQ(StringTable(packed, all).find("a"), 2);
}

TEST(TokenBytes, EqualEntriesAreThoseOfTheTexts) {
  std::vector<std::string> texts, bytes;
  for (int i = 0; i < 300; ++i) {
    texts.push_back("token" + std::to_string(i));
    bytes.push_back(i % 3 == 0 ? " " + texts.back() : texts.back());
  }
  const PackedStrings packed(texts);
  const TokenBytes token_bytes(packed, bytes);
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(token_bytes[i], bytes[i]);
    EXPECT_EQ(token_bytes[i].data() == packed[i].data(), i % 3 != 0);
  }
}

}  // namespace
}  // namespace tessera
