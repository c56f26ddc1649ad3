// AssumeRole of the AWS Security Token Service
// (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html;
// external-providers 9.2). Texts only: the gateway sends, caches and renews.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "providers/aws_sigv4.h"
#include "providers/provider.h"

namespace tessera::providers {

struct AssumeRole {
  std::string role_arn;
  std::string session_name;  // 2–64 of [A-Za-z0-9_+=,.@-]; see session_name_of
  std::string external_id;   // may be empty
  int duration_s = 3600;     // 900–43200
};

struct RoleCredentials {
  AwsCredentials credentials;
  std::int64_t expires_at_s = 0;  // since the epoch
};

// "https://sts.us-east-1.amazonaws.com", of China "….amazonaws.com.cn".
std::string sts_url(std::string_view region);
// Other characters become '-', and it is cut to 64: "tessera-" + what the endpoint is called.
std::string session_name_of(std::string_view endpoint);

// POST "/" with content-type kStsContentType, signed for the service "sts". Throws
// Error(kInvalidParameterValue) for a duration or an external id out of its bounds.
inline constexpr std::string_view kStsContentType =
    "application/x-www-form-urlencoded; charset=utf-8";
std::string assume_role_body(const AssumeRole& request);

// Throws Error(kProviderBadResponse) for XML without the four values.
RoleCredentials read_assume_role(std::string_view xml);
// Of an answer that is not 2xx: kProviderAuthentication with the code ("AccessDenied"), or what
// the status says where the service itself fails.
Error sts_error(const WireResponse& wire);

}  // namespace tessera::providers
