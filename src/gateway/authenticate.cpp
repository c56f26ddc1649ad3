#include "gateway/authenticate.h"

#include <optional>

#include "base/crypto.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera::gateway {
namespace {

std::optional<std::string> token_of(std::string_view authorization) {
  authorization = trim(authorization);
  const std::size_t blank = authorization.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const std::string_view scheme = authorization.substr(0, blank);
  const std::string_view credentials = trim(authorization.substr(blank));
  if (iequals(scheme, "Bearer")) return std::string(credentials);
  if (!iequals(scheme, "Basic")) return std::nullopt;
  const std::optional<std::string> pair = base64_decode(credentials);
  constexpr std::string_view kUser = "token:";
  if (!pair || !pair->starts_with(kUser)) return std::nullopt;
  return pair->substr(kUser.size());
}

// Where the SDKs of other providers put the key that they were given.
std::optional<std::string> token_of(const http::Headers& headers) {
  if (const auto authorization = headers.get("authorization")) return token_of(*authorization);
  for (const char* name : {"x-api-key", "api-key", "x-goog-api-key"}) {
    if (const auto key = headers.get(name)) return std::string(trim(*key));
  }
  return std::nullopt;
}

}  // namespace

const catalog::Principal& authenticate(const http::Headers& headers,
                                       const catalog::Snapshot& snapshot, std::int64_t now_ms) {
  const std::optional<std::string> token = token_of(headers);
  if (!token || token->empty()) {
    throw Error(ErrorKind::kUnauthenticated,
                "Credential was not sent or was of an unsupported type for this API. Send the "
                "header 'Authorization: Bearer <token>'.");
  }
  const catalog::Principal* principal = snapshot.authenticate(sha256_hex(*token), now_ms);
  if (principal == nullptr) throw Error(ErrorKind::kBadToken, "Invalid access token.");
  return *principal;
}

}  // namespace tessera::gateway
