// The way out through an HTTP proxy: which one serves a target, as the environment's HTTP_PROXY,
// HTTPS_PROXY and NO_PROXY mean it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::http {

struct Origin;

struct Proxy {
  std::string host;
  std::uint16_t port = 80;
  std::string authorization;  // value of Proxy-Authorization; empty: none
};

// "http://user:password@host:port", or "host:port"; throws Error(kBadConfiguration) naming `what`
// and never the password. A proxy that is itself spoken to with TLS is refused.
Proxy parse_proxy(std::string_view url, std::string_view what);

class ProxySettings {
 public:
  ProxySettings() = default;  // direct
  // Empty texts: none. `no_proxy`: hosts, ".suffixes", addresses and "*",
  // separated by commas.
  ProxySettings(std::string_view http, std::string_view https, std::string_view no_proxy);
  // Lower case wins. Upper-case HTTP_PROXY is not read in a CGI, where a request can set it
  // (httpoxy).
  static ProxySettings from_environment();

  // Null: connect directly. Unix sockets are never proxied.
  const Proxy* choose(const Origin& origin) const;

 private:
  std::optional<Proxy> http_, https_;
  std::vector<std::string> direct_;  // lower case
};

}  // namespace tessera::http
