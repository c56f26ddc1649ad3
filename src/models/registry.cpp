#include "base/error.h"
#include "models/architectures.h"

namespace tessera {

LoadedModel load_model(const std::filesystem::path& path, const LoadOptions& options,
                       ThreadPool& pool) {
  Checkpoint checkpoint = Checkpoint::open(path);
  const ModelConfig config = read_config(checkpoint);
  LoadedModel model;
  switch (config.architecture) {
    case Architecture::kLlama:
      model.language = load_llama(std::move(checkpoint), config, options, pool);
      break;
    case Architecture::kBert:
      model.embedding = load_bert(std::move(checkpoint), config, options, pool);
      break;
    case Architecture::kMistral:
    case Architecture::kMixtral:
    case Architecture::kDbrx:
    case Architecture::kMpt:
    case Architecture::kGte:
      throw Error(ErrorKind::kUnsupportedModel,
                  path.string() + ": the architecture " +
                      std::string(architecture_name(config.architecture)) +
                      " cannot be run yet; llama and bert can");
  }
  return model;
}

ModelInfo inspect_model(const std::filesystem::path& path) {
  const Checkpoint checkpoint = Checkpoint::open(path);
  return describe(checkpoint, read_config(checkpoint));
}

}  // namespace tessera
