// What a model needs before it is loaded: parameters, weights in each run-time format, keys and
// values. From the headers of its files, or from config.json alone where there are no weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/attention.h"
#include "compute/linear.h"
#include "models/config.h"

namespace tessera {

// Equal matrices of the model.
struct PlannedMatrix {
  std::int64_t rows = 0, cols = 0;
  std::int64_t count = 1;
  std::int64_t active = 1;  // of count, those that a token passes through
  DType dtype = DType::kBF16;
  bool is_lookup = false;  // rows are read as stored, never multiplied: embeddings, positions
};

struct ModelPlan {
  ModelConfig config;
  bool has_weights = false;  // counts and types are those of the files, not of the config
  std::int64_t parameters = 0;
  std::int64_t active_parameters = 0;  // per token; the same for dense models
  std::int64_t vector_parameters = 0;  // norms and biases, held as f32
  std::int64_t stored_bytes = 0;       // of the files' tensors
  std::vector<PlannedMatrix> matrices;
  std::map<std::string, std::int64_t> dtypes;  // stored type -> parameters
  std::string quantization;                    // quant_method, or empty

  // Resident bytes of the weights under `format`.
  std::int64_t weight_bytes(WeightFormat format) const;
  // 0 for encoders.
  std::int64_t kv_bytes_per_token(KvType type) const;
};

// Matrices and vectors that the shapes of `config` ask for, in `dtype`.
ModelPlan plan_model(const ModelConfig& config, DType dtype = DType::kBF16);

// `path`: a folder with or without weights, a config.json, or a .gguf file. Reads headers only.
// Throws Error(kBadModelFile | kUnsupportedModel | kIo) naming file, key and value.
ModelPlan plan_model(const std::filesystem::path& path);

}  // namespace tessera
