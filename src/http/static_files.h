// Serves files: a folder on disk, or assets compiled into the binary. GET and HEAD, ETag and
// If-None-Match, content types by extension; nothing outside the folder, no listings, no hidden
// files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "http/router.h"

namespace tessera::http {

struct StaticFile {
  std::string path;  // "assets/app.js"
  std::string_view bytes;
};

struct StaticOptions {
  std::string index = "index.html";
  // Sent for paths without a file, so that a single-page application finds its own way; empty: 404.
  std::string fallback;
  // Paths starting with this never change under one name (a hash is part of it): cached for a year.
  std::string immutable_prefix = "assets/";
};

// Adds GET prefix/{path...}; `prefix` is "" or "/ui". Files are read at each request by the thread
// that serves it: for small trees on a local disk.
void serve_folder(Router& router, std::string_view prefix, std::filesystem::path folder,
                  StaticOptions options = {});
// The bytes must outlive the router.
void serve_embedded(Router& router, std::string_view prefix, std::vector<StaticFile> files,
                    StaticOptions options = {});

std::string_view content_type_of(std::string_view path);

}  // namespace tessera::http
