#include "http/proxy.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/strings.h"
#include "http/url.h"

namespace tessera::http {
namespace {

std::string variable(const char* lower, const char* upper) {
  const char* value = std::getenv(lower);
  if (value == nullptr && upper != nullptr) value = std::getenv(upper);
  return value == nullptr ? std::string() : std::string(value);
}

// "host", "host:port", ".suffix", "*.suffix" or "*".
bool matches(std::string_view pattern, const std::string& host, std::uint16_t port) {
  if (pattern == "*") return true;
  if (const std::size_t colon = pattern.rfind(':');
      colon != std::string_view::npos && pattern.find(':') == colon) {
    const auto number = parse_int(pattern.substr(colon + 1));
    if (!number || *number != port) return false;
    pattern = pattern.substr(0, colon);
  }
  if (pattern.starts_with("*.")) pattern.remove_prefix(1);
  if (host == pattern) return true;
  // "corp.example" covers the hosts below it, too, as curl and Go read it.
  const std::string suffix =
      pattern.starts_with('.') ? std::string(pattern) : "." + std::string(pattern);
  return host.ends_with(suffix) || "." + host == suffix;
}

}  // namespace

Proxy parse_proxy(std::string_view url, std::string_view what) {
  const auto refuse = [&](std::string_view reason) {
    throw Error(ErrorKind::kBadConfiguration,
                std::string(what) + ": " + std::string(reason) +
                    "; want http://host:port or http://user:password@host:port");
  };
  if (const std::size_t scheme = url.find("://"); scheme != std::string_view::npos) {
    if (!iequals(url.substr(0, scheme), "http"))
      refuse("only proxies reached by http:// are known");
    url.remove_prefix(scheme + 3);
  }
  Proxy proxy;
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    const auto credentials = url_decode(url.substr(0, at));
    if (!credentials) refuse("the user or password has a malformed escape");
    proxy.authorization = "Basic " + base64_encode(*credentials);
    url.remove_prefix(at + 1);
  }
  try {
    auto [origin, target] = parse_url("http://" + std::string(url));
    proxy.host = origin.host;
    proxy.port = origin.port;
    if (target != "/") refuse("a path does not belong into it");
  } catch (const Error& error) {
    if (error.kind == ErrorKind::kBadConfiguration) throw;
    refuse("the host or port is invalid");
  }
  return proxy;
}

ProxySettings::ProxySettings(std::string_view http, std::string_view https,
                             std::string_view no_proxy) {
  if (!trim(http).empty()) http_ = parse_proxy(trim(http), "HTTP proxy");
  if (!trim(https).empty()) https_ = parse_proxy(trim(https), "HTTPS proxy");
  for (const std::string_view entry : split(no_proxy, ',')) {
    if (!trim(entry).empty()) direct_.push_back(to_lower(trim(entry)));
  }
}

ProxySettings ProxySettings::from_environment() {
  const bool cgi = std::getenv("REQUEST_METHOD") != nullptr;
  return ProxySettings(variable("http_proxy", cgi ? nullptr : "HTTP_PROXY"),
                       variable("https_proxy", "HTTPS_PROXY"), variable("no_proxy", "NO_PROXY"));
}

const Proxy* ProxySettings::choose(const Origin& origin) const {
  if (!http_ && !https_) return nullptr;
  if (!origin.unix_path.empty()) return nullptr;
  const std::optional<Proxy>& proxy = origin.scheme == "https" ? https_ : http_;
  if (!proxy) return nullptr;
  const bool direct = std::ranges::any_of(direct_, [&](const std::string& pattern) {
    return matches(pattern, origin.host, origin.port);
  });
  return direct ? nullptr : &*proxy;
}

}  // namespace tessera::http
