#include "http/url.h"

#include "base/error.h"
#include "base/strings.h"

namespace tessera::http {

std::pair<Origin, std::string> parse_url(std::string_view url) {
  auto refuse = [&](std::string_view reason) {
    throw Error(ErrorKind::kBadValue,
                "Invalid URL " + quote_for_message(url) + ": " + std::string(reason) + ".");
  };
  Origin origin;
  std::size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) refuse("wanted 'http://host…' or 'https://host…'");
  origin.scheme = to_lower(url.substr(0, scheme_end));
  if (origin.scheme != "http" && origin.scheme != "https") {
    refuse("the scheme must be 'http' or 'https'");
  }
  origin.port = origin.scheme == "https" ? 443 : 80;
  std::string_view rest = url.substr(scheme_end + 3);
  std::size_t authority_end = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, authority_end);
  std::string_view path = authority_end == std::string_view::npos ? "" : rest.substr(authority_end);
  path = path.substr(0, path.find('#'));
  if (authority.find('@') != std::string_view::npos) {
    refuse("user names and passwords do not belong into it");
  }
  std::string_view host = authority, port;
  if (authority.starts_with('[')) {
    std::size_t close = authority.find(']');
    if (close == std::string_view::npos) refuse("']' is missing");
    host = authority.substr(1, close - 1);
    std::string_view after = authority.substr(close + 1);
    if (!after.empty() && after[0] != ':') refuse("invalid host");
    if (!after.empty()) port = after.substr(1);
  } else if (std::size_t colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    if (port.find(':') != std::string_view::npos) refuse("an IPv6 address needs brackets");
  }
  if (host.empty()) refuse("the host is missing");
  for (char c : url) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7F)
      refuse("it holds a blank or control character");
  }
  if (!port.empty()) {
    auto number = parse_int(port);
    if (!number || *number < 1 || *number > 65535) refuse("the port must be 1 to 65535");
    origin.port = static_cast<std::uint16_t>(*number);
  }
  origin.host = to_lower(host);
  std::string target(path);
  if (!target.starts_with('/')) target.insert(0, "/");
  return {origin, target};
}

std::string host_header(const Origin& origin) {
  if (!origin.unix_path.empty()) return origin.host.empty() ? "localhost" : origin.host;
  std::string host =
      origin.host.find(':') == std::string::npos ? origin.host : "[" + origin.host + "]";
  bool usual = origin.port == (origin.scheme == "https" ? 443 : 80);
  return usual ? host : host + ":" + std::to_string(origin.port);
}

std::string name_of(const Origin& origin) {
  if (!origin.unix_path.empty()) return "unix:" + origin.unix_path;
  return origin.scheme + "://" + origin.host + ":" + std::to_string(origin.port);
}

}  // namespace tessera::http
