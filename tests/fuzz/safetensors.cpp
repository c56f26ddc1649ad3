// Safetensors files from anyone: a typed Error or tensors that lie inside the file.
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "compute/quantize.h"
#include "models/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const SafetensorsFile file = parse_safetensors(bytes, "fuzz.safetensors");
    std::vector<float> values;
    for (const auto& [name, tensor] : file.tensors) {
      if (tensor.data < bytes.data() || tensor.data + tensor.bytes() > bytes.data() + size) {
        std::abort();
      }
      values.resize(static_cast<std::size_t>(tensor.elements()));
      dequantize(tensor.dtype, tensor.data, tensor.elements(), values.data());
    }
  } catch (const Error&) {
  }
  return 0;
}
