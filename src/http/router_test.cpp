#include "http/router.h"

#include <gtest/gtest.h>

namespace tessera::http {
namespace {

asio::awaitable<Response> nothing(Request) { co_return Response{}; }

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    for (auto [method, pattern] : {std::pair{"GET", "/"},
                                   {"GET", "/things"},
                                   {"POST", "/things"},
                                   {"GET", "/things/{name}"},
                                   {"POST", "/things/special"},
                                   {"PUT", "/things/{name}/config"},
                                   {"GET", "/things/{id}/x/{y}"},
                                   {"GET", "/ui/{rest...}"}}) {
      router_.add(method, pattern, nothing);
    }
  }
  std::string find(std::string_view method, std::string_view path) {
    Router::Match match = router_.match(method, path);
    if (!match.handler) return match.allow.empty() ? "404" : "405 " + match.allow;
    std::string text = "ok";
    for (const auto& [name, value] : match.params) text += " " + name + "=" + value;
    return text;
  }
  Router router_;
};

TEST_F(RouterTest, Matches) {
  EXPECT_EQ(find("GET", "/"), "ok");
  EXPECT_EQ(find("GET", "/things"), "ok");
  EXPECT_EQ(find("GET", "/things/"), "ok");
  EXPECT_EQ(find("GET", "/things/a.b.c"), "ok name=a.b.c");
  EXPECT_EQ(find("GET", "/things/a%2Fb%20c"), "ok name=a/b c");
  EXPECT_EQ(find("GET", "/things/special"), "ok name=special");  // the literal has no GET
  EXPECT_EQ(find("POST", "/things/special"), "ok");
  EXPECT_EQ(find("PUT", "/things/n/config/"), "ok name=n");
  EXPECT_EQ(find("GET", "/things/special/x/2"), "ok id=special y=2");  // back from the literal
  EXPECT_EQ(find("HEAD", "/things"), "ok");
  EXPECT_EQ(find("GET", "/ui/a/b.js"), "ok rest=a/b.js");
  EXPECT_EQ(find("GET", "/ui/"), "ok rest=");
}

TEST_F(RouterTest, Misses) {
  EXPECT_EQ(find("GET", "/nothing"), "404");
  EXPECT_EQ(find("GET", "/things//config"), "404");
  EXPECT_EQ(find("GET", "//things"), "404");
  EXPECT_EQ(find("DELETE", "/things"), "405 GET, HEAD, POST");
  EXPECT_EQ(find("DELETE", "/things/special"), "405 GET, HEAD, POST");
  EXPECT_EQ(find("GET", "/things/n/config"), "405 PUT");
  EXPECT_THROW(router_.match("GET", "/things/%zz"), Error);
  EXPECT_THROW(router_.add("GET", "/things/{other}", nothing), std::logic_error);
}

TEST_F(RouterTest, PresentersByLongestPrefix) {
  auto presenter = [](std::string name) {
    return [name](const Error& error, const Request&) {
      return Response::json(name, http_status(error.kind));
    };
  };
  auto in_stream = [](const Error&, const Request&) { return std::string("event"); };
  router_.present_errors("/api/", presenter("short"), in_stream);
  router_.present_errors("/api/2.0/", presenter("long"), in_stream);
  Request request;
  Error error(ErrorKind::kNotReady, "wait");
  error.retry_after_s = 3;
  request.path = "/api/2.0/x";
  Response response = router_.present(error, request);
  EXPECT_EQ(response.body, "long");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.get("retry-after"), "3");
  EXPECT_EQ(response.headers.get("retry-after-ms"), "3000");
  request.path = "/api/x";
  EXPECT_EQ(router_.present(error, request).body, "short");
  EXPECT_EQ(router_.present_in_stream(error, request), "event");
  request.path = "/other";
  EXPECT_EQ(router_.present(error, request).body,
            R"({"error_code":"TEMPORARILY_UNAVAILABLE","message":"wait"})");
  EXPECT_TRUE(router_.present_in_stream(error, request).starts_with("data: {\"error\":{"));
}

}  // namespace
}  // namespace tessera::http
