#include "http/write_head.h"

#include <gtest/gtest.h>

namespace tessera::http {
namespace {

TEST(Header, CannotBreakOut) {
  std::string out;
  append_header(out, "x", std::string("a\r\nEvil: 1\0", 11));
  EXPECT_EQ(out, "x: a  Evil: 1 \r\n");
}

// What append_response_head() writes, without the lines that every answer has.
std::string own_lines(ResponseHead head, const Headers& headers = {}) {
  head.request_id = "id";
  std::string out;
  append_response_head(out, head, headers);
  const std::string id = "x-request-id: id\r\ndate: ";
  const std::size_t begin = out.find(id), end = out.find(" GMT\r\n", begin);
  EXPECT_NE(begin, std::string::npos) << out;
  EXPECT_NE(end, std::string::npos) << out;
  return out.erase(begin, end + 6 - begin);
}

TEST(WriteHead, FramingAndConnection) {
  using Body = ResponseHead::Body;
  EXPECT_EQ(own_lines({.status = 204}), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(own_lines({.body = Body::kLength, .content_length = 12}),
            "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n");
  EXPECT_EQ(own_lines({.status = 599, .keep_alive = false, .body = Body::kChunked}),
            "HTTP/1.1 599 Unknown\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
  EXPECT_EQ(own_lines({.minor_version = 0, .keep_alive = false, .body = Body::kToEnd}),
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
  EXPECT_EQ(own_lines({.minor_version = 0, .body = Body::kLength}),
            "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n");
}

TEST(WriteHead, HeadersOfTheServerAreNotTheHandlersToSay) {
  Headers headers;
  for (const char* name :
       {"Content-Length", "Transfer-Encoding", "Connection", "X-Request-Id", "Date"}) {
    headers.add(name, "forged");
  }
  headers.add("X-Own", "kept");
  EXPECT_EQ(own_lines({}, headers), "HTTP/1.1 200 OK\r\nX-Own: kept\r\n\r\n");
}

}  // namespace
}  // namespace tessera::http
