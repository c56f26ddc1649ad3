// For tests: the weights of golden models that are stored as a formula only
// (tests/golden/models/reference/common.py writes the same bits), and files made of them.
#pragma once

#include <boost/json.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compute/quantize.h"
#include "models/test_files.h"

namespace tessera {

struct GoldenTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;  // as rounded as the file will hold them

  std::int64_t row_elements() const {
    return shape.empty() || shape[0] == 0 ? 1 : static_cast<std::int64_t>(values.size()) / shape[0];
  }
};
using GoldenTensors = std::map<std::string, GoldenTensor>;

inline std::uint64_t splitmix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

inline std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325u;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return value;
}

// All tensors of a case.json.
inline GoldenTensors generate_tensors(const boost::json::object& test) {
  const auto seed = test.at("seed").to_number<std::uint64_t>();
  const auto* rounded = test.if_contains("bf16");
  const bool bf16 = rounded != nullptr && rounded->as_bool();
  GoldenTensors tensors;
  for (const auto& [name, spec] : test.at("tensors").as_object()) {
    GoldenTensor tensor;
    tensor.shape = boost::json::value_to<std::vector<std::int64_t>>(spec.at("shape"));
    std::int64_t count = 1;
    for (const std::int64_t dimension : tensor.shape) count *= dimension;
    const double scale = spec.at("scale").to_number<double>() * std::sqrt(3.0);
    const double offset = spec.at("offset").to_number<double>();
    const std::uint64_t key = splitmix64(seed + fnv1a(name));
    for (std::int64_t n = 1; n <= count; ++n) {
      const std::uint64_t bits =
          splitmix64(key + static_cast<std::uint64_t>(n) * 0x9E3779B97F4A7C15u);
      const double uniform = static_cast<double>(bits >> 40) / 8388608.0 - 1.0;
      const auto value = static_cast<float>(offset + scale * uniform);
      tensor.values.push_back(bf16 ? bf16_to_f32(f32_to_bf16(value)) : value);
    }
    tensors.emplace(name, std::move(tensor));
  }
  return tensors;
}

// The bytes of `values` as F32 or BF16.
inline std::string tensor_bytes(const std::vector<float>& values, bool bf16) {
  if (!bf16) return raw_floats(values);
  std::string out;
  for (const float value : values) out += raw_bytes(f32_to_bf16(value));
  return out;
}

inline std::string safetensors_of(const GoldenTensors& tensors, bool bf16) {
  boost::json::object header;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    data += tensor_bytes(tensor.values, bf16);
    header[name] = {{"dtype", bf16 ? "BF16" : "F32"},
                    {"shape", boost::json::value_from(tensor.shape)},
                    {"data_offsets", {begin, data.size()}}};
  }
  return safetensors_bytes(boost::json::serialize(header), data);
}

// A square of ones on the diagonal, cut or padded with zero rows: as output projection it shows the
// first values of the final norm.
inline GoldenTensor identity_head(std::int64_t vocab, std::int64_t hidden) {
  GoldenTensor head{{vocab, hidden}, std::vector<float>(static_cast<std::size_t>(vocab * hidden))};
  for (std::int64_t i = 0; i < std::min(vocab, hidden); ++i) {
    head.values[static_cast<std::size_t>(i * hidden + i)] = 1.0f;
  }
  return head;
}

}  // namespace tessera
