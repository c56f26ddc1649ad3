#include "base/error.h"
#include "models/architectures.h"

namespace tessera {

std::unique_ptr<EmbeddingModel> load_gte(Checkpoint checkpoint, const ModelConfig&,
                                         const LoadOptions&, ThreadPool&) {
  throw Error(ErrorKind::kUnsupportedModel,
              checkpoint.path().string() + ": GTE models cannot be run yet");
}

}  // namespace tessera
