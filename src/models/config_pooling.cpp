// What a sentence-transformers folder says about pooling, normalisation and length.
#include <algorithm>

#include "base/strings.h"
#include "models/config_families.h"
#include "models/json_file.h"

namespace tessera {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

Pooling read_pooling(const fs::path& file) {
  const auto pooling = read_object(file);
  if (!pooling) throw Error(ErrorKind::kBadModelFile, file.string() + ": is missing");
  const Fields fields = pooling->fields();
  constexpr std::pair<std::string_view, Pooling> kModes[] = {
      {"pooling_mode_cls_token", Pooling::kCls},
      {"pooling_mode_mean_tokens", Pooling::kMean},
      {"pooling_mode_lasttoken", Pooling::kLast},
      {"pooling_mode_max_tokens", Pooling::kNone},
      {"pooling_mode_mean_sqrt_len_tokens", Pooling::kNone},
      {"pooling_mode_weightedmean_tokens", Pooling::kNone},
  };
  std::optional<Pooling> chosen;
  for (const auto& [key, mode] : kModes) {
    if (!fields.boolean(key, false)) continue;
    if (mode == Pooling::kNone)
      fields.unsupported(key, "is true; cls, mean and last are supported");
    if (chosen) fields.unsupported(key, "is true beside another mode: concatenated poolings");
    chosen = mode;
  }
  if (const auto name = fields.text("pooling_mode"); name && !chosen) {
    if (*name == "cls") chosen = Pooling::kCls;
    if (*name == "mean") chosen = Pooling::kMean;
    if (*name == "lasttoken") chosen = Pooling::kLast;
    if (!chosen) fields.unsupported("pooling_mode", "is " + quote_for_message(*name));
  }
  if (!chosen) fields.fail("pooling_mode_mean_tokens", "and every other pooling mode are off");
  return *chosen;
}

}  // namespace

void read_modules(const fs::path& folder, ModelConfig& out) {
  const fs::path file = folder / "modules.json";
  const std::optional<json::value> modules = read_json_file(file);
  if (!modules) {
    out.pooling = Pooling::kCls;
    out.normalize = out.architecture == Architecture::kBert;
    return;
  }
  if (!modules->is_array()) {
    throw Error(ErrorKind::kBadModelFile, file.string() + ": must be an array of modules");
  }
  for (const json::value& item : modules->get_array()) {
    if (!item.is_object()) {
      throw Error(ErrorKind::kBadModelFile, file.string() + ": must be an array of objects");
    }
    const Fields module(item.get_object(), file.string());
    const std::string type = module.text("type").value_or("");
    const std::string path = module.text("path").value_or("");
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind == "Transformer") {
      if (!path.empty() && path != ".") {
        module.unsupported("path", "is " + quote_for_message(path) +
                                       "; the transformer must be in the folder itself");
      }
    } else if (kind == "Pooling") {
      if (path.find_first_of("/\\") != std::string::npos || path == "..") {
        module.fail("path", "is " + quote_for_message(path) + ", wanted a plain folder name");
      }
      out.pooling = read_pooling(folder / path / "config.json");
    } else if (kind == "Normalize") {
      out.normalize = true;
    } else {
      module.unsupported("type", "is " + quote_for_message(type) +
                                     "; Transformer, Pooling and Normalize are supported");
    }
  }
  if (out.pooling == Pooling::kNone) {
    throw Error(ErrorKind::kUnsupportedModel, file.string() + ": has no Pooling module");
  }
}

void read_max_seq_length(const fs::path& folder, ModelConfig& out) {
  out.max_seq_length = out.max_position_embeddings;
  if (const auto file = read_object(folder / "sentence_bert_config.json")) {
    const int wanted = file->fields().size("max_seq_length", out.max_position_embeddings);
    out.max_seq_length = std::min(wanted, out.max_position_embeddings);
  }
  out.context_length = out.max_seq_length;
}

}  // namespace tessera
