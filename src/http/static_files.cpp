#include "http/static_files.h"

#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <sstream>

#include "base/crypto.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera::http {
namespace {

namespace fs = std::filesystem;

using Lookup = std::function<std::optional<std::string>(const std::string& path)>;

// Relative, without "..", hidden parts, or bytes that mean something to a file system.
bool is_plain_path(std::string_view path) {
  if (path.find('\0') != std::string_view::npos || path.find('\\') != std::string_view::npos) {
    return false;
  }
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part.front() == '.') return false;
  }
  return true;
}

std::optional<std::string> read_file(const fs::path& root, const std::string& path) {
  std::error_code error;
  fs::path file = fs::weakly_canonical(root / path, error);
  if (error || !fs::is_regular_file(file, error)) return std::nullopt;
  // A link must not lead out of the folder.
  auto [rest, unused] = std::mismatch(root.begin(), root.end(), file.begin(), file.end());
  if (rest != root.end()) return std::nullopt;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return std::nullopt;
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return std::move(bytes).str();
}

bool matches(std::string_view if_none_match, std::string_view etag) {
  for (std::string_view part : split(if_none_match, ',')) {
    part = trim(part);
    if (part.starts_with("W/")) part.remove_prefix(2);
    if (part == etag || part == "*") return true;
  }
  return false;
}

Response answer(const Request& request, const Lookup& lookup, const StaticOptions& options) {
  auto rest = request.params.find("path");
  std::string path = rest == request.params.end() ? "" : rest->second;
  if (path.empty()) path = options.index;
  std::optional<std::string> bytes;
  if (is_plain_path(path)) bytes = lookup(path);
  if (!bytes && !options.fallback.empty() && content_type_of(path) == content_type_of("")) {
    path = options.fallback;
    bytes = lookup(path);
  }
  if (!bytes) {
    throw Error(ErrorKind::kPathNotFound, "No file " + quote_for_message(request.path) + ".");
  }
  Response response;
  std::string etag = "\"" + sha256_hex(*bytes).substr(0, 32) + "\"";
  bool immutable = !options.immutable_prefix.empty() && path.starts_with(options.immutable_prefix);
  response.headers.add("etag", etag);
  response.headers.add("cache-control",
                       immutable ? "public, max-age=31536000, immutable" : "no-cache");
  response.headers.add("x-content-type-options", "nosniff");
  auto known = request.headers.get("if-none-match");
  if (known && matches(*known, etag)) {
    response.status = 304;
    return response;
  }
  response.headers.add("content-type", std::string(content_type_of(path)));
  response.body = std::move(*bytes);
  return response;
}

void add(Router& router, std::string_view prefix, Lookup lookup, StaticOptions options) {
  router.add("GET", std::string(prefix) + "/{path...}",
             [lookup = std::move(lookup), options = std::move(options)](Request request)
                 -> asio::awaitable<Response> { co_return answer(request, lookup, options); });
}

}  // namespace

std::string_view content_type_of(std::string_view path) {
  static const std::map<std::string_view, std::string_view> types = {
      {"html", "text/html; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"mjs", "text/javascript; charset=utf-8"},
      {"json", "application/json"},
      {"map", "application/json"},
      {"yaml", "application/yaml"},
      {"txt", "text/plain; charset=utf-8"},
      {"md", "text/markdown; charset=utf-8"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"ico", "image/x-icon"},
      {"jpg", "image/jpeg"},
      {"webp", "image/webp"},
      {"woff2", "font/woff2"},
      {"wasm", "application/wasm"},
      {"webmanifest", "application/manifest+json"}};
  std::size_t dot = path.find_last_of("./");
  if (dot != std::string_view::npos && path[dot] == '.') {
    auto type = types.find(path.substr(dot + 1));
    if (type != types.end()) return type->second;
  }
  return "application/octet-stream";
}

void serve_folder(Router& router, std::string_view prefix, fs::path folder, StaticOptions options) {
  std::error_code error;
  fs::path root = fs::canonical(folder, error);
  if (error) {
    throw Error(ErrorKind::kIo, "Cannot serve '" + folder.string() + "': " + error.message());
  }
  add(
      router, prefix, [root](const std::string& path) { return read_file(root, path); },
      std::move(options));
}

void serve_embedded(Router& router, std::string_view prefix, std::vector<StaticFile> files,
                    StaticOptions options) {
  std::map<std::string, std::string_view, std::less<>> by_path;
  for (const StaticFile& file : files) by_path[file.path] = file.bytes;
  add(
      router, prefix,
      [by_path = std::move(by_path)](const std::string& path) -> std::optional<std::string> {
        auto file = by_path.find(path);
        if (file == by_path.end()) return std::nullopt;
        return std::string(file->second);
      },
      std::move(options));
}

}  // namespace tessera::http
