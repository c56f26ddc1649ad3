#include "control/paging.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"

namespace tessera::control {

int page_size(const http::Request& request, int default_size) {
  const auto text = request.query_value("max_results");
  if (!text) return default_size;
  const auto value = parse_int(*text);
  if (!value || *value < 0) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "max_results: received " + quote_for_message(*text) + ", want 0 or more.",
                "max_results");
  }
  return *value == 0 ? default_size : static_cast<int>(std::min<std::int64_t>(*value, kMaxPage));
}

// Tokens are the last name of the page in base64url, so that nobody builds on them.
std::string page_start(const http::Request& request) {
  const auto token = request.query_value("page_token");
  if (!token || token->empty()) return {};
  const auto decoded = base64_decode(*token);
  if (!decoded) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "page_token: " + quote_for_message(*token) + " was not issued by this server.",
                "page_token");
  }
  return *decoded;
}

}  // namespace tessera::control
