#include "http/wire.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/error.h"
#include "http/inflate.h"

namespace tessera::http {
namespace {

ErrorKind kind_of(auto&& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.kind;
  }
  ADD_FAILURE() << "no Error thrown";
  return ErrorKind::kInternal;
}

TEST(RequestHead, Fields) {
  MessageHead head = parse_request_head(
      "POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nX-Empty:\r\nX-Pad: \t v w "
      "\r\n\r\n");
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/a%20b?x=1");
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_EQ(head.headers.get("x-pad"), "v w");
  EXPECT_EQ(head.headers.get("X-EMPTY"), "");
  EXPECT_FALSE(head.headers.get("absent"));
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.chunked);
}

TEST(RequestHead, KeepAlive) {
  auto keep = [](const char* version, const char* field) {
    return parse_request_head(std::string("GET / ") + version + "\r\nHost: h\r\n" + field + "\r\n")
        .keep_alive;
  };
  EXPECT_TRUE(keep("HTTP/1.1", ""));
  EXPECT_FALSE(keep("HTTP/1.1", "Connection: foo, Close\r\n"));
  EXPECT_FALSE(keep("HTTP/1.0", ""));
  EXPECT_TRUE(keep("HTTP/1.0", "connection: Keep-Alive\r\n"));
}

TEST(RequestHead, RefusesWhatTwoParsersCouldReadDifferently) {
  for (const char* text : {
           "GET /\r\n\r\n",
           "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
           "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET / x HTTP/1.1\r\nHost: h\r\n\r\n",
           "G@T / HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET foo HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: h\r\n: empty\r\n\r\n",
           "GET / HTTP/1.1\nHost: h\n\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
           "chunked\r\n\r\n",
           "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
       }) {
    EXPECT_EQ(kind_of([&] { parse_request_head(text); }), ErrorKind::kBadJson) << text;
  }
  for (const char* coding : {"gzip, chunked", "identity", "xchunked", "chunked, chunked", ""}) {
    std::string text = std::string("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ") + coding;
    EXPECT_EQ(kind_of([&] { parse_request_head(text + "\r\n\r\n"); }), ErrorKind::kNotImplemented);
  }
  std::string nul("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 36);
  EXPECT_EQ(kind_of([&] { parse_request_head(nul); }), ErrorKind::kBadJson);
}

TEST(ResponseHead, Fields) {
  MessageHead head = parse_response_head("HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\n");
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.content_length, 3u);
  EXPECT_EQ(parse_response_head("HTTP/1.1 200\r\n\r\n").status, 200);
  EXPECT_FALSE(parse_response_head("HTTP/1.0 200 OK\r\n\r\n").keep_alive);
  for (const char* text : {"HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
                           "HTTP/1.1 099 X\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "\r\n\r\n"}) {
    EXPECT_EQ(kind_of([&] { parse_response_head(text); }), ErrorKind::kUpstreamBadGateway) << text;
  }
}

TEST(FindHeadEnd, GrowingBuffer) {
  std::string text = "GET / HTTP/1.1\r\nHost: h\r\n\r\nrest";
  std::size_t scanned = 0;
  for (std::size_t n = 0; n <= text.size(); ++n) {
    auto end = find_head_end(std::string_view(text).substr(0, n), scanned);
    EXPECT_EQ(end.has_value(), n >= 27) << n;
    if (end) {
      EXPECT_EQ(*end, 27u);
    }
  }
}

TEST(Target, SplitAndQuery) {
  using Pair = std::pair<std::string_view, std::string_view>;
  EXPECT_EQ(split_target("/a/b?x=1?y"), Pair("/a/b", "x=1?y"));
  EXPECT_EQ(split_target("http://host:1/a"), Pair("/a", ""));
  EXPECT_EQ(split_target("http://host"), Pair("/", ""));
  EXPECT_EQ(split_target("http://host?x"), Pair("/", "x"));
  auto query = parse_query("a=1&b=x%20y+z&c&&a=2");
  ASSERT_EQ(query.size(), 4u);
  EXPECT_EQ(query[1].second, "x y z");
  EXPECT_EQ(query[2].first, "c");
  EXPECT_EQ(query[3].second, "2");
  EXPECT_EQ(kind_of([] { parse_query("a=%zz"); }), ErrorKind::kBadValue);
}

std::string decode(std::string_view bytes, std::size_t step, std::size_t* consumed = nullptr) {
  ChunkDecoder decoder;
  std::string out;
  std::size_t used = 0;
  while (used < bytes.size() && !decoder.done()) {
    used += decoder.feed(bytes.substr(used, step), out);
  }
  EXPECT_TRUE(decoder.done());
  if (consumed) *consumed = used;
  return out;
}

TEST(Chunks, EveryCut) {
  std::string text =
      "5;ext=\"1\"\r\nhello\r\n1 \r\n,\r\nA\r\n world 123\r\n0\r\nTrailer: x\r\n\r\nGET";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    std::size_t consumed = 0;
    EXPECT_EQ(decode(text, step, &consumed), "hello, world 123");
    EXPECT_EQ(text.substr(consumed), "GET");
  }
  EXPECT_EQ(decode("0\r\n\r\n", 1), "");
}

TEST(Chunks, Refused) {
  for (std::string text :
       {std::string("g\r\n"), std::string("\r\n"), std::string("-1\r\n"), std::string("1\n"),
        std::string("1\r\nab"), std::string("1\r\na\nb"), std::string("1\r\na\r\r"),
        std::string("1\rx"), std::string("0x1\r\n"), std::string("0000000000000000\r\n"),
        "1;" + std::string(20000, 'x'), "0\r\n" + std::string(20000, 'x'),
        std::string("1;x\ny\r\n"), std::string("0\r\nA: b\n\n")}) {
    ChunkDecoder decoder;
    std::string out;
    EXPECT_THROW(decoder.feed(text, out), std::invalid_argument) << text.substr(0, 20);
  }
}

TEST(Gzip, RoundTripCapAndDamage) {
  std::string text(300000, 'x');
  std::string packed = gzip(text);
  EXPECT_EQ(gunzip(packed, text.size()), text);
  EXPECT_EQ(gunzip(gzip("ab") + gzip("cd"), 100), "abcd");
  EXPECT_EQ(gunzip(gzip(""), 0), "");
  EXPECT_EQ(kind_of([&] { gunzip(packed, text.size() - 1); }), ErrorKind::kPayloadTooLarge);
  for (std::size_t cut = 0; cut < packed.size(); ++cut) {
    EXPECT_EQ(kind_of([&] { gunzip(packed.substr(0, cut), 1u << 20); }), ErrorKind::kBadJson);
  }
  EXPECT_EQ(kind_of([&] { gunzip("not gzip at all", 100); }), ErrorKind::kBadJson);
  EXPECT_EQ(kind_of([&] { gunzip(packed + "garbage", 1u << 20); }), ErrorKind::kBadJson);
}

}  // namespace
}  // namespace tessera::http
