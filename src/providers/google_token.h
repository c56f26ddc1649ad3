// How a Google service account asks for an access token (RFC 7523, the JWT bearer grant):
// https://developers.google.com/identity/protocols/oauth2/service-account#httprest
// Text in, text out; sending and keeping tokens is the gateway's affair.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tessera::providers {

inline constexpr std::string_view kGoogleTokenUrl = "https://oauth2.googleapis.com/token";
inline constexpr std::string_view kGoogleScope = "https://www.googleapis.com/auth/cloud-platform";

struct ServiceAccount {
  std::string client_email;
  std::string private_key_pem;
  std::string private_key_id;  // may be empty
  std::string token_uri;       // as the key file says; only kGoogleTokenUrl is to be believed
};

// A service account's key file, whole or as base64. Throws Error(kBadConfiguration) at
// "private_key": a bare PEM has no identity, and something else is no key file.
ServiceAccount parse_service_account(std::string_view json_or_base64);

// The signed assertion, RS256, valid for an hour from ten seconds ago (clocks differ). `audience`
// is the token URL as Google knows it. Throws Error(kBadConfiguration) when the key cannot sign.
std::string google_jwt(const ServiceAccount& account, std::int64_t now_s,
                       std::string_view audience = kGoogleTokenUrl);

// The body of the token request, application/x-www-form-urlencoded.
std::string google_token_body(std::string_view jwt);

}  // namespace tessera::providers
