// GGUF files from anyone: a typed Error or a file whose every value can be read.
#include <vector>

#include "base/error.h"
#include "compute/quantize.h"
#include "models/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera;
  try {
    const Gguf gguf = Gguf::parse({reinterpret_cast<const std::byte*>(data), size}, "fuzz.gguf");
    for (const auto& item : gguf.metadata()) {
      const auto read = [&](auto member) {
        try {
          (gguf.*member)(item.first);
        } catch (const Error&) {
        }
      };
      read(&Gguf::text);
      read(&Gguf::integer);
      read(&Gguf::number);
      read(&Gguf::boolean);
      read(&Gguf::texts);
      read(&Gguf::integers);
      read(&Gguf::numbers);
      read(&Gguf::uniform_integer);
    }
    std::vector<float> row;
    for (const auto& [name, tensor] : gguf.tensors()) {
      row.resize(static_cast<std::size_t>(tensor.row_elements()));
      dequantize_row(tensor, tensor.rows() - 1, row.data());
    }
  } catch (const Error&) {
  }
  return 0;
}
