// config.json "quantization_config": which tensors of a folder are pieces of quantised matrices.
#pragma once

#include <map>
#include <string>

#include "compute/tensor.h"
#include "models/config_fields.h"

namespace tessera {

using TensorMap = std::map<std::string, RawTensor, std::less<>>;

// Replaces the pieces of each quantised matrix ("X.qweight", "X.scales", …) by one tensor
// "X.weight" that reads its rows from them. Modules without pieces stay as they are, whatever the
// config's list of exceptions says. `config` is the whole config.json. Methods: compressed-tensors
// (float-quantized, int-quantized, pack-quantized), fp8, fbgemm_fp8, gptq (2, 4 and 8 bits), awq
// (gemm). Throws Error(kUnsupportedModel) naming key and value for others, Error(kBadModelFile) for
// pieces that do not fit each other.
void apply_quantization(const Fields& config, TensorMap& tensors);

// The method's name ("gptq"), empty when the config has none.
std::string quantization_method(const Fields& config);

}  // namespace tessera
