#include "base/error.h"
#include "compute/pack.h"
#include "models/architectures.h"

namespace tessera {

LoadedModel load_model(const std::filesystem::path& path, const LoadOptions& options,
                       ThreadPool& pool) {
  Checkpoint checkpoint = Checkpoint::open(path);
  const ModelConfig config = read_config(checkpoint);
  LoadedModel model;
  switch (config.architecture) {
    case Architecture::kLlama:
    case Architecture::kMistral:
      model.language = load_llama(std::move(checkpoint), config, options, pool);
      break;
    case Architecture::kMixtral:
      model.language = load_mixtral(std::move(checkpoint), config, options, pool);
      break;
    case Architecture::kDbrx:
      model.language = load_dbrx(std::move(checkpoint), config, options, pool);
      break;
    case Architecture::kMpt:
      model.language = load_mpt(std::move(checkpoint), config, options, pool);
      break;
    case Architecture::kBert:
      model.embedding = load_bert(std::move(checkpoint), config, options, pool);
      break;
    case Architecture::kGte:
      model.embedding = load_gte(std::move(checkpoint), config, options, pool);
      break;
  }
  PackedBytes::release_unfilled();
  return model;
}

ModelInfo inspect_model(const std::filesystem::path& path) {
  const Checkpoint checkpoint = Checkpoint::open(path);
  return describe(checkpoint, read_config(checkpoint));
}

}  // namespace tessera
