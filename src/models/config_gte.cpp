// GTE v1.5 (Alibaba NewModel).
#include "models/config_families.h"

namespace tessera {

void read_gte_config(const Fields& config, ModelConfig&) {
  config.unsupported("model_type", "is new, which is not supported yet");
}

}  // namespace tessera
