// Method and path to handler. Built once at start-up, then read-only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/message.h"

namespace tessera::http {

using Handler = std::function<asio::awaitable<Response>(Request)>;
// Writes an Error in the shape that clients of a room expect.
using ErrorPresenter = std::function<Response(const Error&, const Request&)>;
// The same as one event of a running SSE stream, "data: …\n\n".
using StreamErrorPresenter = std::function<std::string(const Error&, const Request&)>;

struct RouteOptions {
  std::size_t max_body_bytes = 4u << 20;
};

class Router {
 public:
  Router();
  ~Router();

  // pattern: "/api/2.0/serving-endpoints/{name}/config". A literal segment beats a parameter.
  // A trailing slash in the request is accepted. "{rest...}" as last segment takes the rest.
  void add(std::string_view method, std::string_view pattern, Handler handler,
           RouteOptions options = {});
  // Errors of requests whose path starts with `prefix` (longest wins) are presented like this.
  void present_errors(std::string_view prefix, ErrorPresenter presenter,
                      StreamErrorPresenter stream_presenter);

  struct Match {
    const Handler* handler = nullptr;  // null: 404, or 405 when `allow` is not empty
    RouteOptions options;
    std::map<std::string, std::string, std::less<>> params;
    std::string allow;
  };
  Match match(std::string_view method, std::string_view path) const;
  Response present(const Error& error, const Request& request) const;
  std::string present_in_stream(const Error& error, const Request& request) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera::http
