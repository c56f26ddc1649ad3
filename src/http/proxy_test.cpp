#include "http/proxy.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/strings.h"
#include "http/url.h"

namespace tessera::http {
namespace {

TEST(Proxy, Forms) {
  const Proxy plain = parse_proxy("http://Proxy.example:3128/", "test");
  EXPECT_EQ(plain.host, "proxy.example");
  EXPECT_EQ(plain.port, 3128);
  EXPECT_TRUE(plain.authorization.empty());
  EXPECT_EQ(parse_proxy("proxy:8080", "test").port, 8080);
  EXPECT_EQ(parse_proxy("http://us%40er:p%3Aw@proxy", "test").authorization,
            "Basic " + base64_encode("us@er:p:w"));
  for (const char* bad :
       {"", "https://p:1", "socks5://p", "http://p:0", "http://p/path", "http://u:secret%zz@p"}) {
    try {
      parse_proxy(bad, "HTTPS proxy");
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kBadConfiguration);
      EXPECT_EQ(error.message.find("secret"), std::string::npos);
    }
  }
}

TEST(Proxy, Choice) {
  const ProxySettings settings("http://plain:1", "http://tunnel:2",
                               "direct.example, .corp.example,10.0.0.1,port.example:8443");
  const auto host_of = [&](const char* url) {
    const Proxy* proxy = settings.choose(parse_url(url).first);
    return proxy == nullptr ? std::string() : proxy->host;
  };
  EXPECT_EQ(host_of("http://api.example"), "plain");
  EXPECT_EQ(host_of("https://api.example"), "tunnel");
  for (const char* url : {"https://direct.example", "https://DIRECT.example",
                          "https://sub.direct.example", "https://a.corp.example",
                          "https://corp.example", "http://10.0.0.1", "https://port.example:8443"}) {
    EXPECT_EQ(host_of(url), "") << url;
  }
  EXPECT_EQ(host_of("https://notdirect.example"), "tunnel");
  EXPECT_EQ(host_of("https://port.example"), "tunnel");
  Origin unix_socket;
  unix_socket.unix_path = "/run/x.sock";
  EXPECT_EQ(settings.choose(unix_socket), nullptr);
  EXPECT_EQ(ProxySettings("http://p", "", "*").choose(Origin{}), nullptr);
  EXPECT_EQ(ProxySettings().choose(Origin{}), nullptr);
}

}  // namespace
}  // namespace tessera::http
