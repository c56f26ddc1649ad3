#include "models/quantization.h"

#include <boost/json.hpp>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "models/quantized_rows.h"

namespace tessera {
namespace {

constexpr std::int64_t kMaxGroup = std::int64_t{1} << 24;

[[noreturn]] void unsupported_value(const Fields& fields, std::string_view key,
                                    std::string_view value, std::string_view wanted) {
  fields.unsupported(key, "is " + quote_for_message(value) + "; supported: " + std::string(wanted));
}

std::int64_t group_size(const Fields& fields, std::string_view key, std::int64_t otherwise) {
  const std::int64_t size = fields.integer(key).value_or(otherwise);
  if (size == -1 || (size >= 1 && size <= kMaxGroup)) return size;
  fields.fail(key,
              "is " + std::to_string(size) + ", wanted -1 or 1 to " + std::to_string(kMaxGroup));
}

// The pieces of one module, taken out of the map.
class Module {
 public:
  Module(TensorMap& tensors, std::string name) : tensors_(tensors), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  std::optional<RawTensor> take(std::string_view piece) {
    const auto found = tensors_.find(name_ + "." + std::string(piece));
    if (found == tensors_.end()) return std::nullopt;
    RawTensor tensor = std::move(found->second);
    tensors_.erase(found);
    return tensor;
  }
  RawTensor need(std::string_view piece) {
    if (auto tensor = take(piece)) return *std::move(tensor);
    throw Error(ErrorKind::kBadModelFile,
                "tensor '" + name_ + "." + std::string(piece) + "' is missing");
  }
  void put(RawTensor weight) { tensors_.insert_or_assign(name_ + ".weight", std::move(weight)); }

 private:
  TensorMap& tensors_;
  std::string name_;
};

// Names of the modules that have `piece`.
std::vector<std::string> modules_with(const TensorMap& tensors, std::string_view piece) {
  const std::string ending = "." + std::string(piece);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(ending)) names.push_back(name.substr(0, name.size() - ending.size()));
  }
  return names;
}

// Activation scales: an execution choice that is not taken (activations are quantised by what
// they are, not by what calibration expected).
void drop_activation_scales(Module& module) {
  for (const char* piece : {"input_scale", "input_scale_ub", "input_zero_point", "act_scale"}) {
    module.take(piece);
  }
}

void apply_gptq(const Fields& method, TensorMap& tensors) {
  const int bits = method.size("bits", 4, 64);
  if (bits != 2 && bits != 4 && bits != 8) {
    method.unsupported("bits", "is " + std::to_string(bits) + "; supported: 2, 4 and 8");
  }
  const std::int64_t size = group_size(method, "group_size", -1);
  std::string format = method.text("checkpoint_format").value_or("gptq");
  if (method.boolean("is_marlin_format", false)) format = "marlin";
  if (format != "gptq" && format != "gptq_v2") {
    unsupported_value(method, "checkpoint_format", format, "gptq and gptq_v2");
  }
  for (const std::string& name : modules_with(tensors, "qweight")) {
    Module module(tensors, name);
    GptqPieces pieces;
    pieces.bits = bits;
    pieces.group_size = size;
    pieces.zero_is_one_less = format == "gptq";
    pieces.qweight = module.need("qweight");
    pieces.qzeros = module.need("qzeros");
    pieces.scales = module.need("scales");
    pieces.g_idx = module.take("g_idx");
    module.put(gptq_matrix(name, std::move(pieces)));
  }
}

void apply_awq(const Fields& method, TensorMap& tensors) {
  const char* bits_key = method.has("bits") ? "bits" : "w_bit";
  if (const int bits = method.size(bits_key, 4, 64); bits != 4) {
    method.unsupported(bits_key, "is " + std::to_string(bits) + "; supported: 4");
  }
  if (const std::string version = method.text("version").value_or("gemm");
      version != "gemm" && version != "GEMM") {
    unsupported_value(method, "version", version, "gemm");
  }
  const std::int64_t size =
      group_size(method, method.has("group_size") ? "group_size" : "q_group_size", 128);
  for (const std::string& name : modules_with(tensors, "qweight")) {
    Module module(tensors, name);
    AwqPieces pieces;
    pieces.group_size = size;
    pieces.qweight = module.need("qweight");
    pieces.qzeros = module.need("qzeros");
    pieces.scales = module.need("scales");
    module.put(awq_matrix(name, std::move(pieces)));
  }
}

// X.weight with X.`scale_name`; of `block` rows and columns when the scales are a grid.
void apply_scales(std::string_view scale_name, std::pair<std::int64_t, std::int64_t> block,
                  TensorMap& tensors) {
  for (const std::string& name : modules_with(tensors, scale_name)) {
    Module module(tensors, name);
    ScaledPieces pieces;
    pieces.scale = module.need(scale_name);
    pieces.weight = module.need("weight");
    pieces.zero_point = module.take("weight_zero_point");
    pieces.block_rows = block.first;
    pieces.block_cols = block.second;
    drop_activation_scales(module);
    module.put(scaled_matrix(name, std::move(pieces)));
  }
}

std::pair<std::int64_t, std::int64_t> block_shape(const Fields& fields, std::string_view key) {
  const boost::json::value* value = fields.find(key);
  if (value == nullptr) return {0, 0};
  if (!value->is_array() || value->get_array().size() != 2) {
    fields.wrong(key, *value, "an array of two sizes");
  }
  std::int64_t sizes[2];
  for (int i = 0; i < 2; ++i) {
    sizes[i] = fields.as_integer(key, value->get_array()[static_cast<std::size_t>(i)]);
    if (sizes[i] < 1 || sizes[i] > kMaxGroup) {
      fields.wrong(key, *value, "an array of two sizes of 1 or more");
    }
  }
  return {sizes[0], sizes[1]};
}

// FP8 weights that lost their scale would be read as they are: far off, without an error.
void want_no_bare_fp8(const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (tensor.dtype == DType::kF8E4M3 && tensor.source == nullptr && name.ends_with(".weight")) {
      throw Error(ErrorKind::kBadModelFile, "tensor '" + name + "' is F8_E4M3 and has no scale");
    }
  }
}

void apply_fp8(const Fields& method, TensorMap& tensors) {
  const auto block = block_shape(method, "weight_block_size");
  apply_scales("weight_scale_inv", block, tensors);
  apply_scales("weight_scale", block, tensors);
  want_no_bare_fp8(tensors);
}

// What a group of compressed-tensors says about its weights. Shapes say the rest.
std::pair<std::int64_t, std::int64_t> check_weight_scheme(const Fields& weights) {
  const int bits = weights.size("num_bits", 8, 64);
  const std::string type = weights.text("type").value_or("int");
  if (type != "int" && type != "float") unsupported_value(weights, "type", type, "int and float");
  if (bits != 8 && (bits != 4 || type == "float")) {
    weights.unsupported("num_bits", "is " + std::to_string(bits) + " with type " +
                                        quote_for_message(type) +
                                        "; supported: int 4 and 8, float 8");
  }
  const std::string strategy = weights.text("strategy").value_or("tensor");
  if (strategy != "tensor" && strategy != "channel" && strategy != "group" && strategy != "block") {
    unsupported_value(weights, "strategy", strategy, "tensor, channel, group and block");
  }
  group_size(weights, "group_size", -1);
  return strategy == "block" ? block_shape(weights, "block_structure")
                             : std::pair<std::int64_t, std::int64_t>{0, 0};
}

void apply_compressed_tensors(const Fields& method, TensorMap& tensors) {
  std::pair<std::int64_t, std::int64_t> block;
  if (const auto groups = method.object("config_groups")) {
    for (const auto& [key, value] : groups->raw()) {
      const auto group = groups->object(key);
      if (!group) continue;
      const std::string format = group->text("format").value_or("");
      if (!format.empty() && format != "float-quantized" && format != "int-quantized" &&
          format != "pack-quantized" && format != "naive-quantized") {
        unsupported_value(*group, "format", format, "float-, int-, naive- and pack-quantized");
      }
      if (const auto weights = group->object("weights")) {
        const auto shape = check_weight_scheme(*weights);
        if (shape.first > 0) block = shape;
      }
    }
  }
  const std::string format = method.text("format").value_or("dense");
  if (format != "float-quantized" && format != "int-quantized" && format != "pack-quantized" &&
      format != "naive-quantized" && format != "dense" && format != "mixed-precision") {
    unsupported_value(method, "format", format, "float-, int-, naive- and pack-quantized");
  }
  if (const auto sparsity = method.object("sparsity_config")) {
    if (const std::string sparse = sparsity->text("format").value_or("dense"); sparse != "dense") {
      unsupported_value(*sparsity, "format", sparse, "dense");
    }
  }
  for (const std::string& name : modules_with(tensors, "weight_packed")) {
    Module module(tensors, name);
    const RawTensor shape = module.need("weight_shape");
    if (shape.elements() != 2 || (shape.dtype != DType::kI32 && shape.dtype != DType::kI64)) {
      throw Error(ErrorKind::kBadModelFile,
                  "tensor '" + name + ".weight_shape' must be two integers of type I32 or I64");
    }
    std::int64_t extents[2];
    for (int i = 0; i < 2; ++i) {
      std::int32_t narrow;
      if (shape.dtype == DType::kI64) {
        std::memcpy(&extents[i], shape.data + 8 * i, 8);
      } else {
        std::memcpy(&narrow, shape.data + 4 * i, 4);
        extents[i] = narrow;
      }
      if (extents[i] < 1 || extents[i] > kMaxDimension) {
        throw Error(ErrorKind::kBadModelFile, "tensor '" + name + ".weight_shape' holds " +
                                                  std::to_string(extents[i]) + ", wanted 1 to " +
                                                  std::to_string(kMaxDimension));
      }
    }
    PackedPieces pieces;
    pieces.out = extents[0];
    pieces.in = extents[1];
    pieces.packed = module.need("weight_packed");
    pieces.scale = module.need("weight_scale");
    pieces.zero_point = module.take("weight_zero_point");
    pieces.g_idx = module.take("weight_g_idx");
    drop_activation_scales(module);
    module.put(packed_matrix(name, std::move(pieces)));
  }
  apply_scales("weight_scale", block, tensors);
  want_no_bare_fp8(tensors);
}

struct Method {
  std::string_view name;
  void (*apply)(const Fields&, TensorMap&);
};

constexpr Method kMethods[] = {
    {"compressed-tensors", apply_compressed_tensors},
    {"compressed_tensors", apply_compressed_tensors},
    {"fp8", apply_fp8},
    {"fbgemm_fp8", apply_fp8},
    {"gptq", apply_gptq},
    {"awq", apply_awq},
};

std::optional<Fields> quantization(const Fields& config) {
  if (auto method = config.object("quantization_config")) return method;
  return config.object("compression_config");  // compressed-tensors until 0.5
}

std::string method_name(const Fields& method) {
  if (const auto name = method.text("quant_method")) return *name;
  if (method.has("config_groups")) return "compressed-tensors";
  method.fail("quant_method", "is missing");
}

}  // namespace

std::string quantization_method(const Fields& config) {
  const auto method = quantization(config);
  return method ? method_name(*method) : std::string();
}

void apply_quantization(const Fields& config, TensorMap& tensors) {
  const auto method = quantization(config);
  if (!method) return;
  const std::string name = method_name(*method);
  for (const Method& known : kMethods) {
    if (known.name == name) return known.apply(*method, tensors);
  }
  unsupported_value(*method, "quant_method", name,
                    "compressed-tensors, fp8, fbgemm_fp8, gptq and awq");
}

}  // namespace tessera
