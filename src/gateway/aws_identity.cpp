#include "gateway/aws_identity.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/json.h"
#include "base/strings.h"
#include "providers/aws_sts.h"

namespace tessera::gateway {
namespace {

constexpr std::int64_t kEarlySeconds = 300;
constexpr std::int64_t kForeverSeconds = 365 * 86'400;
constexpr std::size_t kMaxAnswer = 64u << 10;
constexpr const char* kContainerHost = "http://169.254.170.2";
constexpr const char* kMetadataHost = "http://169.254.169.254";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Error no_identity(const std::string& reason) {
  return Error(ErrorKind::kProviderAuthentication,
               "No AWS identity for this endpoint: " + reason + ".");
}

std::string read_small_file(const std::string& path) {
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (text.empty()) throw no_identity("the file '" + path + "' is empty or cannot be read");
  return std::string(trim(text));
}

asio::awaitable<std::string> ask(http::Client& client, std::string method, std::string url,
                                 http::Headers headers, std::string body) {
  http::ClientRequest request;
  std::tie(request.origin, request.target) = http::parse_url(url);
  request.method = std::move(method);
  request.headers = std::move(headers);
  request.body = std::move(body);
  request.timeouts = {std::chrono::seconds(2), std::chrono::seconds(5), std::chrono::seconds(5)};
  http::ClientResponse response = co_await client.send(std::move(request));
  std::string text = co_await http::read_all(*response.body, kMaxAnswer);
  if (response.status != 200) {
    throw no_identity("the credentials service answered with status " +
                      std::to_string(response.status));
  }
  co_return text;
}

// {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
Minted read_keys(std::string_view text) {
  try {
    const json::object tree = parse_json_object(text);
    Minted minted;
    minted.aws = {require_string(tree, "AccessKeyId"), require_string(tree, "SecretAccessKey"),
                  get_string(tree, "Token").value_or("")};
    const auto expiry = parse_rfc3339(get_string(tree, "Expiration").value_or(""));
    minted.expires_at_s = expiry ? *expiry / 1000 : now_s() + 900;
    minted.refresh_at_s = minted.expires_at_s - kEarlySeconds;
    return minted;
  } catch (const Error&) {
    throw no_identity("the credentials service did not answer with keys");
  }
}

asio::awaitable<Minted> from_web_identity(http::Client& client, std::string region,
                                          std::string token_file) {
  const std::string session = variable("AWS_ROLE_SESSION_NAME");
  const std::string body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" +
                           url_encode(variable("AWS_ROLE_ARN")) +
                           "&RoleSessionName=" + url_encode(session.empty() ? "tessera" : session) +
                           "&WebIdentityToken=" + url_encode(read_small_file(token_file));
  http::Headers headers;
  headers.set("content-type", std::string(providers::kStsContentType));
  const std::string url = providers::sts_url(region);
  const std::string text = co_await ask(client, "POST", url, std::move(headers), body);
  const providers::RoleCredentials role = providers::read_assume_role(text);
  Minted minted;
  minted.aws = role.credentials;
  minted.expires_at_s = role.expires_at_s;
  minted.refresh_at_s = role.expires_at_s - kEarlySeconds;
  co_return minted;
}

asio::awaitable<Minted> from_container(http::Client& client, std::string url) {
  http::Headers headers;
  std::string token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    token = read_small_file(file);
  }
  if (!token.empty()) headers.set("authorization", token);
  const std::string text = co_await ask(client, "GET", std::move(url), std::move(headers), "");
  co_return read_keys(text);
}

asio::awaitable<Minted> from_instance(http::Client& client) {
  const std::string host = kMetadataHost;
  http::Headers ttl;
  ttl.set("x-aws-ec2-metadata-token-ttl-seconds", "300");
  const std::string token =
      co_await ask(client, "PUT", host + "/latest/api/token", std::move(ttl), "");
  http::Headers with_token;
  with_token.set("x-aws-ec2-metadata-token", token);
  const std::string base = host + "/latest/meta-data/iam/security-credentials/";
  const std::string role = co_await ask(client, "GET", base, with_token, "");
  const std::string url = base + url_encode(trim(role.substr(0, role.find('\n'))));
  const std::string text = co_await ask(client, "GET", url, with_token, "");
  co_return read_keys(text);
}

}  // namespace

asio::awaitable<Minted> fetch_ambient_identity(http::Client& client, std::string region) {
  const std::string key_id = variable("AWS_ACCESS_KEY_ID");
  if (!key_id.empty()) {
    Minted minted;
    minted.aws = {key_id, variable("AWS_SECRET_ACCESS_KEY"), variable("AWS_SESSION_TOKEN")};
    minted.refresh_at_s = minted.expires_at_s = now_s() + kForeverSeconds;
    co_return minted;
  }
  try {
    const std::string token_file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    if (!token_file.empty()) co_return co_await from_web_identity(client, region, token_file);
    const std::string relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const std::string full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (!relative.empty()) co_return co_await from_container(client, kContainerHost + relative);
    if (!full.empty()) co_return co_await from_container(client, full);
    co_return co_await from_instance(client);
  } catch (const Error& error) {
    if (error.kind == ErrorKind::kProviderAuthentication) throw;
    throw no_identity(error.message);
  }
}

}  // namespace tessera::gateway
