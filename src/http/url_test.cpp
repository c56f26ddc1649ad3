#include "http/url.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera::http {
namespace {

TEST(ParseUrl, Forms) {
  auto [origin, path] = parse_url("https://Example.com/base/path?q=1#frag");
  EXPECT_EQ(origin, (Origin{"https", "example.com", 443, ""}));
  EXPECT_EQ(path, "/base/path?q=1");
  EXPECT_EQ(parse_url("http://h:81").first.port, 81);
  EXPECT_EQ(parse_url("http://h:81").second, "/");
  EXPECT_EQ(parse_url("http://h?x=1").second, "/?x=1");
  EXPECT_EQ(parse_url("http://[::1]:8080/").first.host, "::1");
  for (const char* bad :
       {"", "h", "ftp://h", "http://", "http://:80", "http://h:0", "http://h:99999", "http://h:x",
        "http://u:p@h", "http://[::1", "http://a:b:c", "http://h/a b", "http://h/\n"}) {
    EXPECT_THROW(parse_url(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace tessera::http
