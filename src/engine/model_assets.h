// What a model's folder or file says besides its weights: tokenizer, chat template, defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tessera {

// What requests get that do not say otherwise (generation_config.json; GGUF general.sampling.*).
struct GenerationDefaults {
  std::optional<float> temperature, top_p;
  std::optional<int> top_k;
};

struct ModelAssets {
  std::unique_ptr<const Tokenizer> tokenizer;
  std::optional<std::string> chat_template_source;
  std::optional<std::string> tool_use_template_source;  // where requests with tools have their own
  std::unique_ptr<const ChatTemplate> chat_template;    // null when the model has none
  GenerationDefaults defaults;
  std::string
      digest;  // hex; of the weight files' sizes, heads and tails: tells models apart cheaply
};

// `path`: a Hugging Face folder, a .gguf file, or a folder whose only model is one .gguf file.
// Throws Error(kIo | kBadModelFile | kUnsupportedModel) naming file and field.
ModelAssets load_assets(const std::filesystem::path& path);

// Whether there is a chat template, read from headers alone. `path` as above.
bool has_chat_template(const std::filesystem::path& path);

}  // namespace tessera
