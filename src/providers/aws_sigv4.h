// AWS Signature Version 4
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "providers/provider.h"

namespace tessera::providers {

struct AwsCredentials {
  std::string access_key_id, secret_access_key;
  std::string session_token;  // of temporary credentials; else empty
};

struct AwsRequest {
  std::string_view method = "POST";
  std::string_view host;   // as in the header on the wire: with the port where it is not the usual
  std::string_view path;   // as on the wire, percent-encoded: "/model/m%3A2/invoke"
  std::string_view query;  // as on the wire, without '?'
  const HeaderList& headers;  // lower-case names; content-type, accept and x-amz* are signed
  std::string_view body;
};

// The headers to add: x-amz-date, x-amz-security-token (temporary credentials) and authorization.
// service: "bedrock" or "sts"; now_s: seconds since the epoch.
HeaderList sign(const AwsRequest& request, const AwsCredentials& credentials,
                std::string_view region, std::string_view service, std::int64_t now_s);

// --- The steps, for tests ---

std::string amz_date(std::int64_t now_s);  // "20260102T030405Z"
// `headers`: those to be signed, host and x-amz-date among them.
std::string canonical_request(const AwsRequest& request, HeaderList headers);
Digest256 signing_key(std::string_view secret, std::string_view date, std::string_view region,
                      std::string_view service);

}  // namespace tessera::providers
