#include "models/config.h"

#include <algorithm>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/strings.h"
#include "models/checkpoint.h"
#include "models/config_families.h"

namespace tessera {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

struct ArchitectureName {
  std::string_view model_type, class_prefix;
  Architecture architecture;
};

constexpr ArchitectureName kArchitectures[] = {
    {"llama", "Llama", Architecture::kLlama},
    {"mistral", "Mistral", Architecture::kMistral},
    {"mixtral", "Mixtral", Architecture::kMixtral},
    {"dbrx", "Dbrx", Architecture::kDbrx},
    {"mpt", "MPT", Architecture::kMpt},
    {"mpt", "Mpt", Architecture::kMpt},
    {"bert", "Bert", Architecture::kBert},
    {"new", "New", Architecture::kGte},
    {"gte", "New", Architecture::kGte},
};

Architecture detect_architecture(const Fields& config) {
  const std::optional<std::string> model_type = config.text("model_type");
  std::string class_name;
  if (const json::value* list = config.find("architectures")) {
    if (list->is_array() && !list->get_array().empty() && list->get_array()[0].is_string()) {
      class_name = std::string(list->get_array()[0].get_string());
    }
  }
  if (!model_type && class_name.empty()) config.fail("model_type", "is missing");
  for (const ArchitectureName& known : kArchitectures) {
    if (model_type ? *model_type == known.model_type : class_name.starts_with(known.class_prefix)) {
      return known.architecture;
    }
  }
  const std::string_view key = model_type ? "model_type" : "architectures";
  config.unsupported(key, "is " + quote_for_message(model_type.value_or(class_name)) +
                              ", an architecture that is not supported");
}

ModelConfig read_folder(const fs::path& folder) {
  const auto file = read_object(folder / "config.json");
  if (!file) {
    throw Error(ErrorKind::kBadModelFile, (folder / "config.json").string() + ": is missing");
  }
  const Fields config = file->fields();
  ModelConfig out;
  out.architecture = detect_architecture(config);
  switch (out.architecture) {
    case Architecture::kLlama:
    case Architecture::kMistral:
    case Architecture::kMixtral:
      read_llama_config(config, out);
      break;
    case Architecture::kDbrx:
      read_dbrx_config(config, out);
      break;
    case Architecture::kMpt:
      read_mpt_config(config, out);
      break;
    case Architecture::kBert:
      read_bert_config(config, out);
      break;
    case Architecture::kGte:
      read_gte_config(config, out);
      break;
  }
  if (out.is_encoder()) {
    read_modules(folder, out);
    read_max_seq_length(folder, out);
  }
  std::vector<std::int32_t> bos;
  config.collect_ids("bos_token_id", bos);
  config.collect_ids("eos_token_id", out.eos_token_ids);
  if (const auto generation = read_object(folder / "generation_config.json")) {
    generation->fields().collect_ids("eos_token_id", out.eos_token_ids);
    if (bos.empty()) generation->fields().collect_ids("bos_token_id", bos);
  }
  if (!bos.empty()) out.bos_token_id = bos.front();
  sort_unique(out.eos_token_ids);
  return out;
}

// [vocab, hidden], by its name in the checkpoint
const char* embedding_tensor_name(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
    case Architecture::kMistral:
    case Architecture::kMixtral:
      return "model.embed_tokens.weight";
    case Architecture::kDbrx:
    case Architecture::kMpt:
      return "transformer.wte.weight";
    case Architecture::kBert:
    case Architecture::kGte:
      break;
  }
  return "embeddings.word_embeddings.weight";
}

}  // namespace

void sort_unique(std::vector<std::int32_t>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

std::string_view architecture_name(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
      return "llama";
    case Architecture::kMistral:
      return "mistral";
    case Architecture::kMixtral:
      return "mixtral";
    case Architecture::kDbrx:
      return "dbrx";
    case Architecture::kMpt:
      return "mpt";
    case Architecture::kBert:
      return "bert";
    case Architecture::kGte:
      return "gte";
  }
  return "unknown";
}

ModelConfig read_config(const Checkpoint& checkpoint) {
  ModelConfig config =
      checkpoint.is_gguf() ? read_gguf_config(*checkpoint.gguf()) : read_folder(checkpoint.path());
  // Published configs disagree with their weights about padding rows: the tensor decides.
  const std::string embedding = embedding_tensor_name(config.architecture);
  const RawTensor& rows = checkpoint.get(embedding);
  if (rows.shape.size() != 2 || rows.shape[0] < 1 || rows.shape[0] > kMaxDimension) {
    throw Error(ErrorKind::kBadModelFile, checkpoint.path().string() + ": tensor '" + embedding +
                                              "' must have two dimensions");
  }
  config.vocab_size = static_cast<int>(rows.shape[0]);
  if (checkpoint.is_gguf() && !config.is_encoder()) {
    config.tie_word_embeddings = checkpoint.find("lm_head.weight") == nullptr;
  }
  return config;
}

ModelConfig read_config(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return read_folder(path);
  const MappedFile file(path);
  return read_gguf_config(Gguf::parse(file.bytes(), path.string()));
}

}  // namespace tessera
