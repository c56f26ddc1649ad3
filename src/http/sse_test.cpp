#include "http/sse.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera::http {
namespace {

std::string run(std::string_view text, std::size_t cut) {
  SseParser parser;
  std::string out;
  for (std::string_view part : {text.substr(0, cut), text.substr(cut)}) {
    for (const SseEvent& event : parser.feed(part)) {
      out += "[" + event.event + "|" + event.data + "|" + event.id + "]";
    }
  }
  return out;
}

TEST(Sse, EveryCutAndEveryLineEnd) {
  const std::string text =
      "\xEF\xBB\xBF: comment\ndata: one\n\nevent: delta\r\ndata:two\r\ndata:  lines\r\n\r\n"
      "id: 7\rdata\r\rretry: 5\nunknown: x\nevent: lost\n\n\r\n\ndata: {\"a\":1}\n\ndata: cut off";
  const std::string wanted = "[|one|][delta|two\n lines|][||7][|{\"a\":1}|7]";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) EXPECT_EQ(run(text, cut), wanted) << cut;
  SseParser bytewise;
  std::size_t count = 0;
  for (char c : text) count += bytewise.feed({&c, 1}).size();
  EXPECT_EQ(count, 4u);
}

TEST(Sse, LimitPerEvent) {
  SseParser parser(100);
  EXPECT_EQ(parser.feed("data: " + std::string(80, 'x') + "\n\n").size(), 1u);
  EXPECT_EQ(parser.feed("data: " + std::string(80, 'x') + "\n\n").size(), 1u);
  EXPECT_THROW(parser.feed("data: " + std::string(101, 'x')), Error);
  SseParser lines(100);
  EXPECT_THROW(
      {
        for (int i = 0; i < 100; ++i) lines.feed("data: xxxx\n");
      },
      Error);
}

TEST(Sse, Data) { EXPECT_EQ(sse_data("{}"), "data: {}\n\n"); }

TEST(Sse, EventWithoutItsBlankLineAtTheEnd) {
  for (const char* text : {"data: a\n", "data: a", "event: x\ndata: a\r"}) {
    SseParser parser;
    EXPECT_TRUE(parser.feed(text).empty());
    const auto events = parser.finish();
    ASSERT_EQ(events.size(), 1u) << text;
    EXPECT_EQ(events[0].data, "a");
    EXPECT_TRUE(parser.finish().empty());
  }
  SseParser whole;
  whole.feed("data: a\n\n: comment");
  EXPECT_TRUE(whole.finish().empty());
}

}  // namespace
}  // namespace tessera::http
