#include "gateway/image_fetch.h"

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"
#include "http/timeout.h"
#include "providers/turns.h"

namespace tessera::gateway {
namespace {

namespace asio = http::asio;

constexpr std::size_t kMaxImageBytes = 20'000'000;
constexpr std::chrono::seconds kTimeLimit{10};
constexpr int kMostRedirects = 3;

bool is_remote(const api::ContentPart& part) {
  if (part.kind != api::ContentPart::Kind::kImage) return false;
  const std::string scheme = to_lower(std::string_view(part.url).substr(0, 8));
  return scheme.starts_with("http://") || scheme.starts_with("https://");
}

Error refused(const std::string& path, const std::string& reason) {
  return Error(ErrorKind::kUnsupportedContent,
               "The image at '" + path + "' cannot be fetched: " + reason + ".", path);
}

// Where a Location leads from `url`: absolute, or a path of the same origin.
std::string resolve(const std::string& url, std::string_view location) {
  if (location.starts_with('/') && !location.starts_with("//")) {
    const std::size_t authority = url.find("://") + 3;
    return url.substr(0, std::min(url.find('/', authority), url.size())) + std::string(location);
  }
  return std::string(location);
}

asio::awaitable<std::string> fetch(http::Client& client, std::string url, std::string path) {
  for (int hop = 0; hop <= kMostRedirects; ++hop) {
    http::ClientRequest request;
    std::tie(request.origin, request.target) = http::parse_url(url);
    request.origin.guarded = true;
    request.headers.set("accept", "image/png, image/jpeg, image/gif, image/webp");
    request.timeouts.first_byte = request.timeouts.between_bytes = kTimeLimit;
    http::ClientResponse response = co_await client.send(std::move(request));
    if (response.status / 100 == 3) {
      const std::string location(response.headers.get("location").value_or(""));
      if (location.empty()) throw refused(path, "its server redirects nowhere");
      url = resolve(url, location);
      continue;
    }
    if (response.status != 200) {
      throw refused(path, "its server answered with status " + std::to_string(response.status));
    }
    co_return co_await http::read_all(*response.body, kMaxImageBytes);
  }
  throw refused(path, "more than " + std::to_string(kMostRedirects) + " redirects");
}

asio::awaitable<std::string> fetch_as_data_uri(http::Client& client, std::string url,
                                               std::string path) {
  std::string bytes;
  try {
    const std::string late = "it did not come within 10 s";
    bytes = co_await http::with_timeout(kTimeLimit, fetch(client, std::move(url), path), late);
  } catch (const Error& error) {
    if (error.kind == ErrorKind::kUnsupportedContent) throw;
    // Where in our network it was not found is nobody's affair.
    if (error.code == "upstream_forbidden") throw refused(path, "its host is not a public one");
    if (error.kind == ErrorKind::kDeadlineExceeded) throw refused(path, "it did not come in time");
    if (error.kind == ErrorKind::kBadValue) throw refused(path, "the URL is invalid");
    throw refused(path, "its server cannot be reached, or sends more than 20 MB");
  }
  const std::string_view type = providers::sniff_image(bytes);
  if (type.empty()) throw refused(path, "it is neither PNG, JPEG, GIF nor WebP");
  co_return "data:" + std::string(type) + ";base64," + base64_encode(bytes);
}

void replace_url(api::ContentPart& part, std::string uri) {
  json::object image{{"url", uri}};
  if (!part.detail.empty()) image["detail"] = part.detail;
  part.json = to_json(json::value(json::object{{"type", "image_url"}, {"image_url", image}}));
  part.url = std::move(uri);
}

}  // namespace

bool wants_images_inlined(const catalog::ExternalModel& model, const api::ChatRequest& request) {
  if (model.option("image_url_policy") != "inline") return false;
  return std::ranges::any_of(request.messages, [](const api::ChatMessage& message) {
    return std::ranges::any_of(message.parts, is_remote);
  });
}

asio::awaitable<TaskRequest> inline_images(http::Client& client, api::ChatRequest request) {
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    auto& parts = request.messages[i].parts;
    for (std::size_t j = 0; j < parts.size(); ++j) {
      if (!is_remote(parts[j])) continue;
      const std::string path = index_path(join_path(index_path("messages", i), "content"), j);
      std::string uri = co_await fetch_as_data_uri(client, parts[j].url, path);
      replace_url(parts[j], std::move(uri));
    }
  }
  co_return TaskRequest(std::move(request));
}

}  // namespace tessera::gateway
