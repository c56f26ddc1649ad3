#include "providers/aws_sts.h"

#include <cctype>

#include "base/clock.h"
#include "base/json.h"
#include "base/strings.h"
#include "providers/failure.h"

namespace tessera::providers {
namespace {

// The text of the first element of that name; the answer is flat enough to need no tree. "" when
// there is none.
std::string element(std::string_view xml, const std::string& name) {
  const std::string open = '<' + name + '>', close = "</" + name + '>';
  const std::size_t begin = xml.find(open);
  if (begin == std::string_view::npos) return {};
  const std::size_t end = xml.find(close, begin);
  if (end == std::string_view::npos) return {};
  std::string_view text = trim(xml.substr(begin + open.size(), end - begin - open.size()));
  std::string out;
  struct Entity {
    std::string_view written, meant;
  };
  static constexpr Entity kEntities[] = {
      {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}};
  while (!text.empty()) {
    std::size_t taken = 1;
    std::string_view meant = text.substr(0, 1);
    for (const Entity& entity : kEntities) {
      if (!text.starts_with(entity.written)) continue;
      taken = entity.written.size();
      meant = entity.meant;
    }
    out += meant;
    text.remove_prefix(taken);
  }
  return out;
}

bool is_session_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_+=,.@-").find(c) != std::string_view::npos;
}

}  // namespace

std::string sts_url(std::string_view region) {
  std::string url = "https://sts." + std::string(region) + ".amazonaws.com";
  return region.starts_with("cn-") ? url + ".cn" : url;
}

std::string session_name_of(std::string_view endpoint) {
  std::string name = "tessera-" + std::string(endpoint.substr(0, 56));
  for (char& c : name) {
    if (!is_session_char(c)) c = '-';
  }
  return name;
}

std::string assume_role_body(const AssumeRole& request) {
  if (request.duration_s < 900 || request.duration_s > 43200) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "Invalid value for 'aws_session_duration_seconds': it must be between 900 and "
                "43200, not " +
                    std::to_string(request.duration_s) + ".",
                "aws_session_duration_seconds");
  }
  const std::size_t id = request.external_id.size();
  if (id != 0 && (id < 2 || id > 1224)) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "Invalid value for 'aws_external_id': it must have 2 to 1224 characters, not " +
                    std::to_string(id) + ".",
                "aws_external_id");
  }
  std::string body =
      "Action=AssumeRole&Version=2011-06-15&RoleArn=" + url_encode(request.role_arn) +
      "&RoleSessionName=" + url_encode(request.session_name) +
      "&DurationSeconds=" + std::to_string(request.duration_s);
  if (id != 0) body += "&ExternalId=" + url_encode(request.external_id);
  return body;
}

RoleCredentials read_assume_role(std::string_view xml) {
  RoleCredentials read{.credentials = {.access_key_id = element(xml, "AccessKeyId"),
                                       .secret_access_key = element(xml, "SecretAccessKey"),
                                       .session_token = element(xml, "SessionToken")}};
  const auto expires_ms = parse_rfc3339(element(xml, "Expiration"));
  if (read.credentials.access_key_id.empty() || read.credentials.secret_access_key.empty() ||
      read.credentials.session_token.empty() || !expires_ms) {
    throw bad_response("amazon-bedrock", "AssumeRole gave no whole set of credentials.");
  }
  read.expires_at_s = *expires_ms / 1000;
  return read;
}

Error sts_error(const WireResponse& wire) {
  Failure failure{.provider = "amazon-bedrock", .code = element(wire.body, "Code")};
  const std::string message = element(wire.body, "Message");
  failure.message = "AssumeRole failed";
  if (!failure.code.empty()) failure.message += " with " + failure.code;
  failure.message += ": " + (message.empty() ? "status " + std::to_string(wire.status) : message);
  // Whatever it does not like about our request is about our credentials.
  if (wire.status < 500 && wire.status != 429 && failure.code != "Throttling") {
    failure.kind = ErrorKind::kProviderAuthentication;
  }
  if (failure.code == "Throttling") failure.meaning = 429;
  return to_error(failure, wire);
}

}  // namespace tessera::providers
