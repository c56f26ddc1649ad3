// Where a model lies on disk.
#pragma once

#include <filesystem>

namespace tessera {

// The folder or file that load_model() wants for `path`: itself, or the only .gguf file in a folder
// without config.json. Throws Error(kBadModelFile) when there are several.
std::filesystem::path resolve_model_path(const std::filesystem::path& path);

}  // namespace tessera
