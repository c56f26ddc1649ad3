// HTTP messages as the handlers see them. Knows no model and no tenant.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/body_stream.h"

namespace tessera::http {

// In order of arrival; names compare without regard to case.
class Headers {
 public:
  std::optional<std::string_view> get(std::string_view name) const;  // the first of that name
  void set(std::string_view name, std::string value);                // replaces
  void add(std::string_view name, std::string value);
  void erase(std::string_view name);
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method;  // upper case
  std::string target;  // as received
  std::string path;    // percent-decoded per segment by the router, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::map<std::string, std::string, std::less<>> params;  // {name} parts of the route, decoded
  Headers headers;
  std::string body;
  std::string id;       // UUID made by the session; sent back as x-request-id
  std::string peer_ip;  // empty for Unix sockets

  std::optional<std::string_view> query_value(std::string_view name) const;
};

// Either `body` or `stream` is sent; a stream goes out chunked, each piece flushed at once. The
// head waits for the first piece (an empty one does), but not longer than ServerOptions says; an
// Error thrown before is presented as if the handler had thrown it, a later one as an event of the
// stream.
struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  std::unique_ptr<BodyStream> stream;
  // Sent whenever a stream whose head is out was silent for the interval, such as ": ping\n\n".
  std::string keep_alive;
  std::chrono::milliseconds keep_alive_interval{0};  // 0: never

  static Response json(std::string body, int status = 200);
};

}  // namespace tessera::http
