#include "base/error.h"
#include "models/architectures.h"

namespace tessera {

std::unique_ptr<LanguageModel> load_mixtral(Checkpoint checkpoint, const ModelConfig&,
                                            const LoadOptions&, ThreadPool&) {
  throw Error(ErrorKind::kUnsupportedModel,
              checkpoint.path().string() + ": Mixtral models cannot be run yet");
}

}  // namespace tessera
