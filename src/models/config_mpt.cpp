// MPT.
#include "models/config_families.h"

namespace tessera {

void read_mpt_config(const Fields& config, ModelConfig&) {
  config.unsupported("model_type", "is mpt, which is not supported yet");
}

void read_gguf_mpt(const GgufFields& fields, ModelConfig&) {
  fields.unsupported("block_count", "is of an mpt model, which is not supported yet");
}

}  // namespace tessera
