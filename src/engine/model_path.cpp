#include "engine/model_path.h"

#include <vector>

#include "base/error.h"

namespace tessera {

namespace fs = std::filesystem;

fs::path resolve_model_path(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored) || fs::exists(path / "config.json")) return path;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".gguf") found.push_back(entry.path());
  }
  if (found.size() > 1) {
    throw Error(ErrorKind::kBadModelFile,
                path.string() + " holds " + std::to_string(found.size()) +
                    " .gguf files and no config.json; name one of the files");
  }
  return found.empty() ? path : found.front();
}

}  // namespace tessera
