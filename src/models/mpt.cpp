#include "base/error.h"
#include "models/architectures.h"

namespace tessera {

std::unique_ptr<LanguageModel> load_mpt(Checkpoint checkpoint, const ModelConfig&,
                                        const LoadOptions&, ThreadPool&) {
  throw Error(ErrorKind::kUnsupportedModel,
              checkpoint.path().string() + ": MPT models cannot be run yet");
}

}  // namespace tessera
