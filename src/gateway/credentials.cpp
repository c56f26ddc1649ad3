#include "gateway/credentials.h"

#include <cstdlib>
#include <ctime>

#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "gateway/aws_identity.h"
#include "providers/aws_sts.h"
#include "providers/failure.h"
#include "providers/google_token.h"

namespace tessera::gateway {
namespace {

constexpr std::size_t kMaxTokenAnswer = 256u << 10;
constexpr std::int64_t kEntraEarlySeconds = 300;
constexpr std::int64_t kGoogleEarlySeconds = 225;
constexpr std::int64_t kRoleEarlySeconds = 300;
constexpr std::int64_t kSkewThatMatters = 60;
constexpr std::string_view kForm = "application/x-www-form-urlencoded";

// Parts that cannot run into one another.
std::string identity_of(std::initializer_list<std::string_view> parts) {
  std::string identity;
  for (const std::string_view part : parts) {
    identity += std::to_string(part.size()) + ':';
    identity += part;
  }
  return identity;
}

Error authentication_failed(const std::string& provider, const std::string& code, int status,
                            const std::string& message) {
  Error error(ErrorKind::kProviderAuthentication, message);
  error.provider = std::make_shared<const ProviderFailure>(
      ProviderFailure{.provider = provider, .code = code, .status = status});
  return error;
}

struct Answer {
  int status = 0;
  std::string body;
};

asio::awaitable<Answer> post(http::Client& client, const std::string& provider, std::string url,
                             http::Headers headers, std::string body) {
  http::ClientRequest request;
  std::tie(request.origin, request.target) = http::parse_url(url);
  request.origin.guarded = true;
  request.method = "POST";
  request.headers = std::move(headers);
  request.body = std::move(body);
  request.timeouts.first_byte = request.timeouts.between_bytes = std::chrono::seconds(30);
  Answer answer;
  try {
    http::ClientResponse response = co_await client.send(std::move(request));
    answer.status = response.status;
    answer.body = co_await http::read_all(*response.body, kMaxTokenAnswer);
  } catch (const Error& error) {
    throw transport_error(error, provider);
  }
  co_return answer;
}

// {"access_token", "expires_in", "refresh_in"?} of an OAuth token endpoint (RFC 6749, 5.1).
Minted read_token(std::string_view body, const std::string& provider, std::int64_t now_s,
                  std::int64_t early_s) {
  try {
    const json::object tree = parse_json_object(body);
    Minted minted;
    minted.token = require_string(tree, "access_token");
    const std::int64_t lifetime = get_int_or_digits(tree, "expires_in").value_or(3600);
    const auto refresh = get_int_or_digits(tree, "refresh_in");
    minted.expires_at_s = now_s + lifetime;
    minted.refresh_at_s = now_s + (refresh ? *refresh : std::max(lifetime / 2, lifetime - early_s));
    return minted;
  } catch (const Error&) {
    throw authentication_failed(
        provider, {}, 200,
        "The identity provider of '" + provider + "' answered without an access token.");
  }
}

// RFC 6749, 5.2. Only codes are told: descriptions quote what was sent.
[[noreturn]] void refuse_token(const Answer& answer, const std::string& provider) {
  std::string code, description;
  try {
    const json::object tree = parse_json_object(answer.body);
    code = get_string(tree, "error").value_or("");
    description = get_string(tree, "error_description").value_or("");
  } catch (const Error&) {
    // HTML, or JSON of another form: the status must do.
  }
  if (const std::size_t at = description.find("AADSTS"); at != std::string::npos) {
    const std::size_t end = description.find_first_not_of("0123456789", at + 6);
    code += (code.empty() ? "" : ", ") + description.substr(at, end - at);
  }
  const std::string why = code.empty() ? "status " + std::to_string(answer.status)
                                       : providers::redact(code.substr(0, 100));
  if (answer.status >= 500 || answer.status == 429) {
    Error error(ErrorKind::kProviderError,
                "The identity provider of '" + provider + "' failed: " + why + ".");
    error.provider = std::make_shared<const ProviderFailure>(
        ProviderFailure{.provider = provider, .code = code, .status = answer.status});
    throw error;
  }
  throw authentication_failed(provider, code, answer.status,
                              "The identity provider of '" + provider +
                                  "' refused the configured credentials: " + why + ".");
}

struct EntraCloud {
  std::string_view suffix, authority, scope;
};

// By where the model is (external-providers 3).
EntraCloud entra_cloud(std::string_view base) {
  static constexpr EntraCloud kSovereign[] = {
      {".us", "https://login.microsoftonline.us", "https://cognitiveservices.azure.us/.default"},
      {".cn", "https://login.partner.microsoftonline.cn",
       "https://cognitiveservices.azure.cn/.default"}};
  std::string host;
  try {
    host = http::parse_url(base).first.host;
  } catch (const Error&) {
    // Validated when the endpoint was made; the usual cloud, then.
  }
  for (const EntraCloud& cloud : kSovereign) {
    if (host.ends_with(cloud.suffix)) return cloud;
  }
  return {"", "https://login.microsoftonline.com", "https://cognitiveservices.azure.com/.default"};
}

std::string entra_url(const catalog::ExternalModel& model) {
  const std::string_view override_url = model.option("token_url_override");
  if (!override_url.empty()) return std::string(override_url);
  const EntraCloud cloud = entra_cloud(model.option("openai_api_base"));
  return std::string(cloud.authority) + "/" +
         url_encode(model.option("microsoft_entra_tenant_id")) + "/oauth2/v2.0/token";
}

// A value given as a secret, or by those who do not mind as an option.
std::string_view secret_or_option(const catalog::ExternalModel& model, const std::string& key) {
  const std::string_view secret = model.secret(key);
  return secret.empty() ? model.option(key) : secret;
}

providers::AwsCredentials static_keys(const catalog::ExternalModel& model) {
  return {std::string(secret_or_option(model, "aws_access_key_id")),
          std::string(model.secret("aws_secret_access_key")),
          std::string(secret_or_option(model, "aws_session_token"))};
}

// The role to take on; empty: none, the identity itself is meant.
std::string role_of(const catalog::ExternalModel& model) {
  for (const char* key : {"aws_role_arn", "instance_profile_arn", "uc_service_credential_name"}) {
    const std::string value(model.option(key));
    if (value.empty()) continue;
    // An instance profile is what the machine itself runs as.
    if (value.find(":instance-profile/") != std::string::npos) return {};
    if (value.starts_with("arn:")) return value;
    throw authentication_failed(model.provider, {}, 0,
                                std::string(key) + " of this endpoint is not the ARN of a role: " +
                                    quote_for_message(value) + ".");
  }
  return {};
}

std::optional<std::int64_t> parse_http_date(const std::string& text) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr) return std::nullopt;
  return static_cast<std::int64_t>(::timegm(&parts));
}

}  // namespace

Error transport_error(const Error& cause, const std::string& provider) {
  // "Upstream https://host:443: reason": who calls us need not know where it is.
  std::string reason = cause.message;
  if (const std::size_t at = reason.find(": ");
      reason.starts_with("Upstream ") && at != reason.npos) {
    reason.erase(0, at + 2);
  }
  if (reason.ends_with('.')) reason.pop_back();
  log_warn("gateway", "a provider failed", {{"provider", provider}, {"reason", cause.message}});
  const bool no_connection = cause.code == "upstream_unreachable";
  const bool timeout = cause.kind == ErrorKind::kDeadlineExceeded && !no_connection;
  Error error(timeout ? ErrorKind::kProviderTimeout : ErrorKind::kProviderUnreachable,
              "The provider '" + provider + "' " +
                  (timeout ? "did not answer in time: " : "could not be reached: ") + reason + ".");
  ProviderFailure failure{.provider = provider};
  if (cause.code == "upstream_forbidden") failure.should_retry = false;
  error.provider = std::make_shared<const ProviderFailure>(std::move(failure));
  return error;
}

asio::awaitable<Grant> Credentials::authorize(const providers::Auth& auth,
                                              const catalog::ExternalModel& model,
                                              const std::string& label,
                                              http::ClientRequest& request) {
  using Kind = providers::Auth::Kind;
  Grant grant;
  TokenCache::Fetch fetch;
  switch (auth.kind) {
    case Kind::kNone:
      co_return grant;
    case Kind::kHeader:
      request.headers.set(auth.header, auth.value);
      co_return grant;
    case Kind::kAwsSigV4:
      co_return co_await sign(model, label, request);
    case Kind::kEntraId:
      grant.identity =
          identity_of({"entra", entra_url(model), model.option("microsoft_entra_client_id"),
                       model.secret("microsoft_entra_client_secret"),
                       entra_cloud(model.option("openai_api_base")).scope});
      fetch = [this, &model] { return fetch_entra(model); };
      break;
    case Kind::kGoogleServiceAccount:
      grant.identity =
          identity_of({"google", model.secret("private_key"), model.option("token_url_override")});
      fetch = [this, &model] { return fetch_google(model); };
      break;
  }
  grant.minted = co_await tokens_.get(grant.identity, std::move(fetch));
  request.headers.set("authorization", "Bearer " + grant.minted->token);
  co_return grant;
}

bool Credentials::renew(const Grant& grant) {
  if (!grant.minted) return false;
  tokens_.forget(grant.identity, grant.minted);
  return true;
}

// --- OAuth ---

asio::awaitable<Minted> Credentials::fetch_entra(const catalog::ExternalModel& model) {
  const EntraCloud cloud = entra_cloud(model.option("openai_api_base"));
  http::Headers headers;
  headers.set("content-type", std::string(kForm));
  std::string body = "client_id=" + url_encode(model.option("microsoft_entra_client_id")) +
                     "&client_secret=" + url_encode(model.secret("microsoft_entra_client_secret")) +
                     "&scope=" + url_encode(cloud.scope) + "&grant_type=client_credentials";
  const Answer answer =
      co_await post(client_, model.provider, entra_url(model), std::move(headers), std::move(body));
  if (answer.status != 200) refuse_token(answer, model.provider);
  co_return read_token(answer.body, model.provider, now_s_(), kEntraEarlySeconds);
}

asio::awaitable<Minted> Credentials::fetch_google(const catalog::ExternalModel& model) {
  std::string jwt;
  try {
    jwt = providers::google_jwt(providers::parse_service_account(model.secret("private_key")),
                                now_s_());
  } catch (const Error& error) {
    throw authentication_failed(model.provider, {}, 0, error.message);
  }
  std::string url(model.option("token_url_override"));
  if (url.empty()) url = providers::kGoogleTokenUrl;
  http::Headers headers;
  headers.set("content-type", std::string(kForm));
  const Answer answer = co_await post(client_, model.provider, std::move(url), std::move(headers),
                                      providers::google_token_body(jwt));
  if (answer.status != 200) refuse_token(answer, model.provider);
  co_return read_token(answer.body, model.provider, now_s_(), kGoogleEarlySeconds);
}

// --- AWS ---

asio::awaitable<Grant> Credentials::sign(const catalog::ExternalModel& model,
                                         const std::string& label, http::ClientRequest& request) {
  Grant grant = co_await aws_identity(model, label);
  const providers::AwsCredentials keys = grant.minted ? grant.minted->aws : static_keys(model);
  const std::string host = http::host_header(request.origin);
  const auto [path, query] = [&] {
    const std::string_view target = request.target;
    const std::size_t mark = target.find('?');
    const std::string_view rest =
        mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
    return std::pair(target.substr(0, mark), rest);
  }();
  providers::HeaderList headers;
  for (const auto& [name, value] : request.headers) headers.emplace_back(to_lower(name), value);
  const providers::AwsRequest what{.method = request.method,
                                   .host = host,
                                   .path = path,
                                   .query = query,
                                   .headers = headers,
                                   .body = request.body};
  const std::int64_t now = now_s_() + skew_s(host);
  for (auto& [name, value] :
       providers::sign(what, keys, model.option("aws_region"), "bedrock", now)) {
    request.headers.set(name, value);
  }
  co_return grant;
}

// Without a minted part: the endpoint's own keys are used as they are.
asio::awaitable<Grant> Credentials::aws_identity(const catalog::ExternalModel& model,
                                                 const std::string& label) {
  Grant grant;
  const std::string role = role_of(model);
  providers::AwsCredentials base = static_keys(model);
  const bool own_keys = !base.access_key_id.empty();
  if (own_keys && role.empty()) co_return grant;
  const std::string region(model.option("aws_region"));
  if (!own_keys) {
    grant.identity = identity_of({"aws", region});
    TokenCache::Fetch ambient = [this, region] { return fetch_ambient_identity(client_, region); };
    grant.minted = co_await tokens_.get(grant.identity, std::move(ambient));
    if (role.empty()) co_return grant;
    base = grant.minted->aws;
  }
  grant.identity = identity_of(
      {"sts", role, model.option("aws_external_id"), model.option("aws_session_duration_seconds"),
       region, model.option("sts_endpoint_override"), own_keys ? base.access_key_id : "",
       own_keys ? base.secret_access_key : ""});
  TokenCache::Fetch assume = [this, &model, &role, &label, &base] {
    return assume_role(model, role, label, base);
  };
  grant.minted = co_await tokens_.get(grant.identity, std::move(assume));
  co_return grant;
}

asio::awaitable<Minted> Credentials::assume_role(const catalog::ExternalModel& model,
                                                 std::string role_arn, std::string label,
                                                 providers::AwsCredentials base) {
  providers::AssumeRole what;
  what.role_arn = std::move(role_arn);
  what.session_name = providers::session_name_of(label);
  what.external_id = model.option("aws_external_id");
  if (const auto seconds = parse_int(model.option("aws_session_duration_seconds"))) {
    what.duration_s = static_cast<int>(*seconds);
  }
  const std::string region(model.option("aws_region"));
  std::string url(model.option("sts_endpoint_override"));
  if (url.empty()) url = providers::sts_url(region);
  const auto [origin, target] = http::parse_url(url);
  const std::string host = http::host_header(origin);
  const std::string body = providers::assume_role_body(what);
  providers::HeaderList headers = {{"content-type", std::string(providers::kStsContentType)}};
  const providers::AwsRequest signed_part{
      .method = "POST", .host = host, .path = target, .headers = headers, .body = body};
  http::Headers all;
  for (const auto& [name, value] : headers) all.set(name, value);
  for (auto& [name, value] :
       providers::sign(signed_part, base, region, "sts", now_s_() + skew_s(host))) {
    all.set(name, value);
  }
  const Answer answer = co_await post(client_, model.provider, url, std::move(all), body);
  if (answer.status != 200) {
    providers::WireResponse wire;
    wire.status = answer.status;
    wire.body = answer.body;
    throw providers::sts_error(wire);
  }
  const providers::RoleCredentials taken = providers::read_assume_role(answer.body);
  Minted minted;
  minted.aws = taken.credentials;
  minted.expires_at_s = taken.expires_at_s;
  minted.refresh_at_s = taken.expires_at_s - kRoleEarlySeconds;
  co_return minted;
}

std::int64_t Credentials::skew_s(const std::string& host) {
  std::lock_guard lock(mutex_);
  const auto found = skew_s_.find(host);
  return found == skew_s_.end() ? 0 : found->second;
}

bool Credentials::correct_clock(const std::string& host, std::string_view date_header) {
  const auto theirs = parse_http_date(std::string(date_header));
  if (!theirs) return false;
  const std::int64_t skew = *theirs - now_s_();
  std::lock_guard lock(mutex_);
  std::int64_t& known = skew_s_[host];
  if (std::abs(skew - known) < kSkewThatMatters) return false;
  known = skew;
  return true;
}

}  // namespace tessera::gateway
