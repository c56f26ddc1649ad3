// Reader of the safetensors header (https://huggingface.co/docs/safetensors), as strict as the
// reference implementation: the tensors must tile the data buffer exactly.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "compute/tensor.h"

namespace tessera {

struct SafetensorsFile {
  std::map<std::string, RawTensor, std::less<>> tensors;  // views into the file's bytes
  // Tensors of a type that compute/ does not know, by the name of that type ("C64"). They are
  // well-formed, so they only matter to a model that wants them.
  std::map<std::string, std::string, std::less<>> unknown_types;
  std::map<std::string, std::string, std::less<>> metadata;
};

// `bytes`: the whole file, which must outlive the result. `name` is used in messages only.
// Throws Error(kBadModelFile) naming file, tensor and value. Allocates in proportion to the header.
SafetensorsFile parse_safetensors(std::span<const std::byte> bytes, std::string_view name);

}  // namespace tessera
