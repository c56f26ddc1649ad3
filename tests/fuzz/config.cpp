// config.json from anyone, with and without quantised tensors beside it: a typed Error or a plan.
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "compute/quantize.h"
#include "models/plan.h"
#include "models/quantization.h"

namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "tessera-fuzz-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

// Pieces of every method; the config decides how they are read.
tessera::TensorMap pieces() {
  using tessera::DType;
  static const std::byte zeros[4096] = {};
  const auto tensor = [](DType dtype, std::vector<std::int64_t> shape) {
    return tessera::RawTensor{dtype, std::move(shape), zeros, {}, nullptr};
  };
  return {
      {"a.qweight", tensor(DType::kI32, {8, 16})},  {"a.qzeros", tensor(DType::kI32, {2, 2})},
      {"a.scales", tensor(DType::kF16, {2, 16})},   {"a.g_idx", tensor(DType::kI32, {64})},
      {"b.weight", tensor(DType::kF8E4M3, {8, 8})}, {"b.weight_scale", tensor(DType::kF32, {8, 1})},
      {"c.weight", tensor(DType::kI8, {8, 8})},     {"c.weight_scale", tensor(DType::kF32, {1})}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera;
  static const Folder folder;
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::ofstream(folder.path / "config.json", std::ios::binary) << text;
  try {
    const ModelPlan plan = plan_model(folder.path);
    plan.weight_bytes(WeightFormat::kInt4);
    plan.kv_bytes_per_token(KvType::kF16);
  } catch (const Error&) {
  }
  boost::system::error_code error;
  const boost::json::value config = boost::json::parse(text, error);
  if (error || !config.is_object()) return 0;
  try {
    TensorMap tensors = pieces();
    apply_quantization(Fields(config.get_object(), "config.json"), tensors);
    std::vector<float> row;
    for (const auto& [name, tensor] : tensors) {
      if (tensor.source == nullptr) continue;
      tensor.source->best_type();
      row.resize(static_cast<std::size_t>(tensor.row_elements()));
      dequantize_row(tensor, tensor.rows() - 1, row.data());
    }
  } catch (const Error&) {
  }
  return 0;
}
