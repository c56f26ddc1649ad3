#include "providers/google_token.h"

#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::providers {
namespace {

Error refuse(std::string_view what) {
  return Error(ErrorKind::kBadConfiguration,
               "Invalid value for 'private_key': " + std::string(what) +
                   " Wanted is the service account's key file (JSON), whole or as base64.",
               "private_key");
}

std::string required(const json::object& file, const char* field) {
  const json::value* value = find_field(file, field);
  if (value == nullptr || !value->is_string() || value->get_string().empty()) {
    throw refuse("the key file has no '" + std::string(field) + "'.");
  }
  return std::string(value->get_string());
}

}  // namespace

ServiceAccount parse_service_account(std::string_view json_or_base64) {
  const std::string_view text = trim(json_or_base64);
  if (text.empty()) throw refuse("it is empty.");
  if (text.starts_with("-----BEGIN")) throw refuse("a bare PEM key does not say whose it is.");
  std::string decoded;
  if (!text.starts_with('{')) {
    std::string compact;  // base64 tools break lines
    for (const char c : text) {
      if (c != '\n' && c != '\r' && c != ' ') compact += c;
    }
    const auto bytes = base64_decode(compact);
    if (!bytes) throw refuse("it is neither JSON nor base64.");
    decoded = *bytes;
  } else {
    decoded = text;
  }
  json::object file;
  try {
    file = parse_json_object(decoded);
  } catch (const Error&) {
    throw refuse("it is no JSON object.");  // without the parser's words: they may quote the key
  }
  ServiceAccount account{.client_email = required(file, "client_email"),
                         .private_key_pem = required(file, "private_key")};
  if (const json::value* id = find_field(file, "private_key_id");
      id != nullptr && id->is_string()) {
    account.private_key_id = std::string(id->get_string());
  }
  if (const json::value* uri = find_field(file, "token_uri"); uri != nullptr && uri->is_string()) {
    account.token_uri = std::string(uri->get_string());
  }
  return account;
}

std::string google_jwt(const ServiceAccount& account, std::int64_t now_s,
                       std::string_view audience) {
  constexpr std::int64_t kSkew = 10, kLifetime = 3600;
  json::object header{{"alg", "RS256"}, {"typ", "JWT"}};
  if (!account.private_key_id.empty()) header["kid"] = account.private_key_id;
  const json::object claims{{"iss", account.client_email},
                            {"scope", kGoogleScope},
                            {"aud", audience},
                            {"iat", now_s - kSkew},
                            {"exp", now_s - kSkew + kLifetime}};
  std::string jwt =
      base64url_encode(tessera::to_json(header)) + '.' + base64url_encode(tessera::to_json(claims));
  const std::optional<std::string> signature = sign_rs256(account.private_key_pem, jwt);
  if (!signature) throw refuse("its 'private_key' is no RSA key that can sign.");
  jwt += '.';
  jwt += base64url_encode(*signature);
  return jwt;
}

std::string google_token_body(std::string_view jwt) {
  return "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=" +
         url_encode(jwt);
}

}  // namespace tessera::providers
