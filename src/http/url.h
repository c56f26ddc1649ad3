// Where a request goes: an origin (RFC 6454), told by a URL or by the path of a Unix socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace tessera::http {

struct Origin {
  std::string scheme = "http";  // "http", "https"
  std::string host;
  std::uint16_t port = 80;
  std::string unix_path;  // not empty: connect there; host is only the Host header
  bool guarded = false;   // only to addresses that ClientOptions::addresses allows
  bool operator==(const Origin&) const = default;
};

// "https://host:port/base/path" to origin and path; throws Error(kBadValue).
std::pair<Origin, std::string> parse_url(std::string_view url);
// "host", or "host:port" where the port is not the scheme's: the value of Host, as it is sent.
std::string host_header(const Origin& origin);
// "https://host:port" or "unix:/path", for errors.
std::string name_of(const Origin& origin);

}  // namespace tessera::http
