#include "base/error.h"
#include "models/architectures.h"

namespace tessera {

std::unique_ptr<LanguageModel> load_dbrx(Checkpoint checkpoint, const ModelConfig&,
                                         const LoadOptions&, ThreadPool&) {
  throw Error(ErrorKind::kUnsupportedModel,
              checkpoint.path().string() + ": DBRX models cannot be run yet");
}

}  // namespace tessera
