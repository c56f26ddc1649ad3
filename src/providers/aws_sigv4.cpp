#include "providers/aws_sigv4.h"

#include <time.h>

#include <algorithm>
#include <cstdio>

#include "base/strings.h"

namespace tessera::providers {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

// Only what no proxy on the way may change.
bool is_signed(std::string_view name) {
  return name == "content-type" || name == "accept" || name == "host" ||
         (name.starts_with("x-amz") && name != "x-amzn-trace-id");
}

// Step 2: every segment of the path as sent is encoded once more.
std::string canonical_path(std::string_view path) {
  if (path.empty()) return "/";
  return url_encode(path, /*keep_slash=*/true);
}

// Step 3. Names and values stand encoded in the query already.
std::string canonical_query(std::string_view query) {
  if (query.empty()) return {};
  std::vector<std::string> pairs;
  for (const std::string_view pair : split(query, '&')) {
    if (pair.empty()) continue;
    pairs.emplace_back(pair);
    if (pair.find('=') == std::string_view::npos) pairs.back() += '=';
  }
  std::ranges::sort(pairs);
  return join(pairs, "&");
}

// Step 4: trimmed, runs of spaces are one space.
std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : trim(value)) {
    if (c == ' ' && out.ends_with(' ')) continue;
    out += c;
  }
  return out;
}

std::string signed_names(const HeaderList& sorted) {
  std::string names;
  for (const auto& [name, value] : sorted) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

}  // namespace

std::string amz_date(std::int64_t now_s) {
  const time_t when = now_s;
  tm parts{};
  gmtime_r(&when, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

std::string canonical_request(const AwsRequest& request, HeaderList headers) {
  std::ranges::sort(headers);
  std::string text(request.method);
  text += '\n' + canonical_path(request.path) + '\n' + canonical_query(request.query) + '\n';
  for (const auto& [name, value] : headers) text += name + ':' + canonical_value(value) + '\n';
  text += '\n' + signed_names(headers) + '\n' + sha256_hex(request.body);
  return text;
}

Digest256 signing_key(std::string_view secret, std::string_view date, std::string_view region,
                      std::string_view service) {
  Digest256 key = hmac_sha256("AWS4" + std::string(secret), date);
  for (const std::string_view step : {region, service, std::string_view("aws4_request")}) {
    key = hmac_sha256(as_bytes(key), step);
  }
  return key;
}

HeaderList sign(const AwsRequest& request, const AwsCredentials& credentials,
                std::string_view region, std::string_view service, std::int64_t now_s) {
  const std::string date_time = amz_date(now_s);
  const std::string date = date_time.substr(0, 8);
  HeaderList added = {{"x-amz-date", date_time}};
  if (!credentials.session_token.empty()) {
    added.emplace_back("x-amz-security-token", credentials.session_token);
  }
  HeaderList to_sign = added;
  to_sign.emplace_back("host", request.host);
  for (const auto& header : request.headers) {
    const bool twice =
        std::ranges::any_of(to_sign, [&](const auto& h) { return h.first == header.first; });
    if (is_signed(header.first) && !twice) to_sign.push_back(header);
  }
  std::ranges::sort(to_sign);

  std::string scope = date + '/';
  scope.append(region).append("/").append(service).append("/aws4_request");
  const std::string to_hash = canonical_request(request, to_sign);
  const std::string string_to_sign =
      std::string(kAlgorithm) + '\n' + date_time + '\n' + scope + '\n' + sha256_hex(to_hash);
  const Digest256 key = signing_key(credentials.secret_access_key, date, region, service);
  const Digest256 signature = hmac_sha256(as_bytes(key), string_to_sign);
  added.emplace_back("authorization", std::string(kAlgorithm) +
                                          " Credential=" + credentials.access_key_id + '/' + scope +
                                          ", SignedHeaders=" + signed_names(to_sign) +
                                          ", Signature=" + hex_encode(as_bytes(signature)));
  return added;
}

}  // namespace tessera::providers
