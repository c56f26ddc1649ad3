#include "http/static_files.h"

#include <fstream>

#include "http/test_support.h"

namespace tessera::http {
namespace {

namespace fs = std::filesystem;

class StaticFiles : public ServerTest {
 protected:
  StaticFiles() {
    std::string pattern = (fs::temp_directory_path() / "http_test_XXXXXX").string();
    outside_ = ::mkdtemp(pattern.data());
    fs::create_directories(outside_ / "www/assets");
    write("secret.txt", "secret");
    write("www/index.html", "<p>home</p>");
    write("www/assets/app.js", "let x;");
    write("www/.hidden", "hidden");
    fs::create_symlink(outside_ / "secret.txt", outside_ / "www/link.txt");
    serve_folder(router_, "/ui", outside_ / "www");
    serve_embedded(router_, "/in", {{"index.html", "inside"}, {"a.css", "a{}"}},
                   {.fallback = "index.html"});
    start();
  }
  ~StaticFiles() override { fs::remove_all(outside_); }
  void write(const std::string& name, std::string_view text) {
    std::ofstream(outside_ / name) << text;
  }
  fs::path outside_;
};

TEST_F(StaticFiles, TypesTagsAndCaching) {
  std::string home = ask(get("/ui/"));
  EXPECT_TRUE(home.ends_with("<p>home</p>")) << home;
  EXPECT_NE(home.find("content-type: text/html"), std::string::npos);
  EXPECT_NE(home.find("cache-control: no-cache"), std::string::npos);
  std::string script = ask(get("/ui/assets/app.js"));
  EXPECT_NE(script.find("content-type: text/javascript"), std::string::npos);
  EXPECT_NE(script.find("immutable"), std::string::npos);
  std::size_t at = script.find("etag: ") + 6;
  std::string etag = script.substr(at, script.find("\r\n", at) - at);
  std::string again = ask(get("/ui/assets/app.js", "If-None-Match: \"x\", W/" + etag + "\r\n"));
  EXPECT_TRUE(again.starts_with("HTTP/1.1 304 ")) << again;
  EXPECT_EQ(again.find("let x"), std::string::npos);
}

TEST_F(StaticFiles, NothingFromOutside) {
  for (const char* path :
       {"/ui/../secret.txt", "/ui/%2e%2e/secret.txt", "/ui/..%2fsecret.txt",
        "/ui/assets/../../secret.txt", "/ui/link.txt", "/ui/.hidden", "/ui/assets",
        "/ui//etc/passwd", "/ui/%00", "/ui/a%5cb", "/ui/missing.js"}) {
    EXPECT_TRUE(ask(get(path)).starts_with("HTTP/1.1 404 ")) << path;
  }
}

TEST_F(StaticFiles, EmbeddedWithFallback) {
  EXPECT_TRUE(ask(get("/in/a.css")).ends_with("a{}"));
  EXPECT_TRUE(ask(get("/in/endpoints/some.name")).ends_with("inside"));
  EXPECT_TRUE(ask(get("/in/missing.js")).starts_with("HTTP/1.1 404 "));
}

}  // namespace
}  // namespace tessera::http
