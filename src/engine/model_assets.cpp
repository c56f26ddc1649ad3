#include "engine/model_assets.h"

#include <algorithm>
#include <vector>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "engine/model_path.h"
#include "models/gguf.h"
#include "text/gguf_vocabulary.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigestBytes = 1u << 20;  // of the beginning and of the end of each file

std::string_view as_text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

std::optional<std::int32_t> token_id(const Gguf& gguf, std::string_view key) {
  const auto id = gguf.integer(key);
  if (!id) return std::nullopt;
  return static_cast<std::int32_t>(*id);
}

GgufVocabulary read_vocabulary(const Gguf& gguf) {
  GgufVocabulary v;
  const auto text = [&](std::string_view key) { return std::string(gguf.text(key).value_or("")); };
  v.model = text("tokenizer.ggml.model");
  v.pre = text("tokenizer.ggml.pre");
  v.tokens = gguf.texts("tokenizer.ggml.tokens").value_or(std::vector<std::string>());
  v.scores = gguf.numbers("tokenizer.ggml.scores").value_or(std::vector<float>());
  const auto types =
      gguf.integers("tokenizer.ggml.token_type").value_or(std::vector<std::int64_t>());
  v.token_types.assign(types.begin(), types.end());
  v.merges = gguf.texts("tokenizer.ggml.merges").value_or(std::vector<std::string>());
  v.bos = token_id(gguf, "tokenizer.ggml.bos_token_id");
  v.eos = token_id(gguf, "tokenizer.ggml.eos_token_id");
  v.eot = token_id(gguf, "tokenizer.ggml.eot_token_id");
  v.eom = token_id(gguf, "tokenizer.ggml.eom_token_id");
  v.unk = token_id(gguf, "tokenizer.ggml.unknown_token_id");
  // Older converters misspelt it.
  v.sep = token_id(gguf, "tokenizer.ggml.separator_token_id");
  if (!v.sep) v.sep = token_id(gguf, "tokenizer.ggml.seperator_token_id");
  v.pad = token_id(gguf, "tokenizer.ggml.padding_token_id");
  v.cls = token_id(gguf, "tokenizer.ggml.cls_token_id");
  v.mask = token_id(gguf, "tokenizer.ggml.mask_token_id");
  v.add_bos = gguf.boolean("tokenizer.ggml.add_bos_token");
  v.add_eos = gguf.boolean("tokenizer.ggml.add_eos_token");
  v.add_sep = gguf.boolean("tokenizer.ggml.add_sep_token");
  v.add_space_prefix = gguf.boolean("tokenizer.ggml.add_space_prefix");
  v.remove_extra_whitespaces = gguf.boolean("tokenizer.ggml.remove_extra_whitespaces");
  v.normalizer_lowercase = gguf.boolean("tokenizer.ggml.normalizer.lowercase");
  v.normalizer_strip_accents = gguf.boolean("tokenizer.ggml.normalizer.strip_accents");
  v.huggingface_json = text("tokenizer.huggingface.json");
  v.chat_template = text("tokenizer.chat_template");
  v.tool_use_template = text("tokenizer.chat_template.tool_use");
  return v;
}

template <class Number>
std::optional<Number> in_range(std::optional<double> value, double lowest, double highest) {
  // A nonsensical default is ignored rather than imposed on every request.
  if (!value || !(*value >= lowest && *value <= highest)) return std::nullopt;
  return static_cast<Number>(*value);
}

ModelAssets read_gguf(const fs::path& path) {
  const MappedFile file(path);
  const Gguf gguf = Gguf::parse(file.bytes(), path.string());
  const GgufVocabulary vocabulary = read_vocabulary(gguf);
  ModelAssets assets;
  assets.tokenizer = make_tokenizer(vocabulary);
  if (!vocabulary.chat_template.empty()) {
    assets.chat_template_source = vocabulary.chat_template;
    if (!vocabulary.tool_use_template.empty()) {
      assets.tool_use_template_source = vocabulary.tool_use_template;
    }
  }
  assets.defaults.temperature = in_range<float>(gguf.number("general.sampling.temp"), 0, 2);
  assets.defaults.top_p = in_range<float>(gguf.number("general.sampling.top_p"), 1e-6, 1);
  assets.defaults.top_k = in_range<int>(gguf.number("general.sampling.top_k"), 0, 1e6);
  return assets;
}

GenerationDefaults read_generation_config(const fs::path& file) {
  GenerationDefaults defaults;
  if (!fs::exists(file)) return defaults;
  const MappedFile mapped(file);
  json::object config;
  try {
    config = parse_json_object(as_text(mapped));
    if (!get_bool(config, "do_sample").value_or(false)) return defaults;
    defaults.temperature = in_range<float>(get_number(config, "temperature"), 0, 2);
    defaults.top_p = in_range<float>(get_number(config, "top_p"), 1e-6, 1);
    defaults.top_k = in_range<int>(get_number(config, "top_k"), 0, 1e6);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadModelFile, file.string() + ": " + error.message);
  }
  return defaults;
}

ModelAssets read_folder(const fs::path& folder) {
  ModelAssets assets;
  assets.tokenizer = load_tokenizer(folder);
  if (auto source = find_chat_template(folder)) {
    assets.chat_template_source = std::move(source->standard);
    assets.tool_use_template_source = std::move(source->tool_use);
  }
  assets.defaults = read_generation_config(folder / "generation_config.json");
  return assets;
}

std::vector<fs::path> weight_files(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string digest_of(const std::vector<fs::path>& files) {
  Sha256 hash;
  for (const fs::path& path : files) {
    const MappedFile file(path);
    const std::string_view bytes = as_text(file);
    hash.update(path.filename().string() + ":" + std::to_string(bytes.size()) + ":");
    hash.update(bytes.substr(0, kDigestBytes));
    if (bytes.size() > kDigestBytes) {
      hash.update(bytes.substr(std::max(kDigestBytes, bytes.size() - kDigestBytes)));
    }
  }
  std::string hex;
  for (unsigned char byte : hash.finish()) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

bool has_chat_template(const fs::path& path) {
  const fs::path resolved = resolve_model_path(path);
  if (fs::is_directory(resolved)) return find_chat_template(resolved).has_value();
  const MappedFile file(resolved);
  return !Gguf::parse(file.bytes(), resolved.string())
              .text("tokenizer.chat_template")
              .value_or("")
              .empty();
}

ModelAssets load_assets(const fs::path& path) {
  const fs::path resolved = resolve_model_path(path);
  if (!fs::exists(resolved)) {
    throw Error(ErrorKind::kIo, "model path '" + resolved.string() + "' does not exist");
  }
  ModelAssets assets = fs::is_directory(resolved) ? read_folder(resolved) : read_gguf(resolved);
  if (assets.chat_template_source) {
    assets.chat_template = std::make_unique<const ChatTemplate>(*assets.chat_template_source,
                                                                assets.tokenizer->special_tokens(),
                                                                assets.tool_use_template_source);
  }
  assets.digest = digest_of(weight_files(resolved));
  return assets;
}

}  // namespace tessera
