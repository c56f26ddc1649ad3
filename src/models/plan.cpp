#include "models/plan.h"

#include <algorithm>

#include "base/error.h"
#include "compute/pack.h"
#include "models/checkpoint.h"
#include "models/config_fields.h"
#include "models/model.h"
#include "models/quantization.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {

// Adds up the tensors of an architecture.
class Counter {
 public:
  Counter(ModelPlan& plan, DType dtype) : plan_(plan), dtype_(dtype) {}

  void matrices(std::int64_t rows, std::int64_t cols, std::int64_t count = 1,
                std::optional<std::int64_t> active = std::nullopt) {
    add({rows, cols, count, active.value_or(count), dtype_, false});
  }
  void lookup(std::int64_t rows, std::int64_t cols) {
    if (rows > 0) add({rows, cols, 1, 1, dtype_, true});
  }
  void vectors(std::int64_t elements, std::int64_t count = 1) {
    plan_.parameters += elements * count;
    plan_.active_parameters += elements * count;
    plan_.vector_parameters += elements * count;
  }

 private:
  void add(const PlannedMatrix& matrix) {
    plan_.parameters += matrix.rows * matrix.cols * matrix.count;
    plan_.active_parameters += matrix.rows * matrix.cols * matrix.active;
    plan_.matrices.push_back(matrix);
  }

  ModelPlan& plan_;
  DType dtype_;
};

void count_decoder(const ModelConfig& c, Counter& to) {
  const std::int64_t d = c.hidden_size, layers = c.num_hidden_layers, inner = c.intermediate_size;
  const std::int64_t q = std::int64_t{c.num_attention_heads} * c.head_dim;
  const std::int64_t kv = std::int64_t{c.num_key_value_heads} * c.head_dim;
  const bool mpt = c.architecture == Architecture::kMpt;
  if (!c.tie_word_embeddings) to.lookup(c.vocab_size, d);
  to.matrices(c.vocab_size, d);  // the head; tied embeddings are read from it
  if (c.learned_positions) to.lookup(c.max_position_embeddings, d);
  to.vectors(d, 2 * layers + 1);
  to.matrices(q + 2 * kv, d, layers);
  to.matrices(d, q, layers);
  if (c.attention_bias) to.vectors(q + 2 * kv + d, layers);
  if (c.qk_ln) to.vectors(q + kv, layers);
  if (c.num_local_experts > 0) {
    const std::int64_t experts = layers * c.num_local_experts;
    to.matrices(c.num_local_experts, d, layers);  // router
    to.matrices(inner, d, 2 * experts, 2 * layers * c.num_experts_per_tok);
    to.matrices(d, inner, experts, layers * c.num_experts_per_tok);
    return;
  }
  to.matrices(inner, d, (mpt ? 1 : 2) * layers);
  to.matrices(d, inner, layers);
  if (c.mlp_bias) to.vectors((mpt ? 1 : 2) * inner + d, layers);
}

void count_encoder(const ModelConfig& c, Counter& to) {
  const std::int64_t d = c.hidden_size, layers = c.num_hidden_layers, inner = c.intermediate_size;
  const bool gte = c.architecture == Architecture::kGte;
  to.lookup(c.vocab_size, d);
  to.lookup(c.type_vocab_size, d);
  if (!gte) to.lookup(c.max_position_embeddings, d);
  to.vectors(2 * d);
  to.matrices(3 * d, d, layers);
  to.matrices(d, d, layers);
  to.vectors(4 * d, layers);
  to.matrices(inner, d, (gte ? 2 : 1) * layers);
  to.matrices(d, inner, layers);
  to.vectors((c.rms_norm ? 2 : 4) * d, layers);
  to.vectors((gte ? 0 : inner) + d, layers);
  if (!gte) {  // the pooler, which nothing reads
    to.lookup(d, d);
    to.vectors(d);
  }
}

// The tables that a model reads rows of, by the ends of their names.
bool is_table(std::string_view name, const ModelConfig& config) {
  for (const std::string_view end :
       {"embed_tokens.weight", "wte.weight", "word_embeddings.weight", "position_embeddings.weight",
        "token_type_embeddings.weight", "wpe.weight", "pooler.dense.weight"}) {
    if (!name.ends_with(end)) continue;
    const bool tied = config.tie_word_embeddings && !config.is_encoder();
    return !(tied && (end == "embed_tokens.weight" || end == "wte.weight"));
  }
  return false;
}

bool is_expert(std::string_view name) { return name.find("experts") != std::string_view::npos; }

ModelPlan plan_checkpoint(const Checkpoint& checkpoint) {
  ModelPlan plan;
  plan.config = read_config(checkpoint);
  plan.has_weights = true;
  plan.parameters = checkpoint.parameters();
  plan.stored_bytes = checkpoint.bytes();
  const ModelConfig& c = plan.config;
  std::int64_t idle = 0;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    switch (tensor.dtype) {
      case DType::kI8:
      case DType::kU8:
      case DType::kI16:
      case DType::kI32:
      case DType::kI64:
      case DType::kBool:
        continue;
      default:
        break;
    }
    const std::string type =
        tensor.source != nullptr ? "quantised" : std::string(dtype_info(tensor.dtype).name);
    plan.dtypes[type] += tensor.elements();
    if (tensor.shape.size() < 2) {
      plan.vector_parameters += tensor.elements();
      continue;
    }
    if (c.tie_word_embeddings && name == "lm_head.weight") continue;  // ignored
    PlannedMatrix matrix;
    matrix.cols = tensor.shape.back();
    matrix.rows = tensor.elements() / std::max<std::int64_t>(1, matrix.cols);
    matrix.dtype = tensor.dtype;
    matrix.is_lookup = is_table(name, c);
    plan.matrices.push_back(matrix);
    if (is_expert(name) && c.num_local_experts > 0) {
      idle +=
          tensor.elements() / c.num_local_experts * (c.num_local_experts - c.num_experts_per_tok);
    }
  }
  plan.active_parameters = plan.parameters - idle;
  return plan;
}

// "torch_dtype" or "dtype"; what files of a bare config.json would hold.
DType config_dtype(const Fields& config) {
  const char* key = config.has("dtype") ? "dtype" : "torch_dtype";
  const std::string name = config.text(key).value_or("bfloat16");
  if (name == "float32") return DType::kF32;
  if (name == "float16") return DType::kF16;
  if (name == "bfloat16") return DType::kBF16;
  config.unsupported(key, "is '" + name + "'; float32, float16 and bfloat16 are supported");
}

bool has_weight_files(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") return true;
  }
  return false;
}

}  // namespace

std::int64_t ModelPlan::weight_bytes(WeightFormat format) const {
  std::int64_t bytes = vector_parameters * 4;
  for (const PlannedMatrix& m : matrices) {
    if (m.is_lookup) {
      const DTypeInfo& info = dtype_info(m.dtype);
      bytes += m.rows * m.cols / info.block_elements * info.block_bytes * m.count;
      continue;
    }
    const std::int64_t panels = (m.rows + kPanelRows - 1) / kPanelRows;
    const std::int64_t groups = (m.cols + kGroup - 1) / kGroup;
    bytes += panels * groups * panel_group_bytes(panel_kind(m.dtype, format)) * m.count;
  }
  return bytes;
}

std::int64_t ModelPlan::kv_bytes_per_token(KvType type) const {
  if (config.is_encoder()) return 0;
  return KvCache::bytes_per_token(config.num_hidden_layers, config.num_key_value_heads,
                                  config.head_dim, type);
}

ModelPlan plan_model(const ModelConfig& config, DType dtype) {
  ModelPlan plan;
  plan.config = config;
  Counter counter(plan, dtype);
  if (config.is_encoder()) {
    count_encoder(config, counter);
  } else {
    count_decoder(config, counter);
  }
  plan.dtypes[std::string(dtype_info(dtype).name)] = plan.parameters;
  plan.stored_bytes = plan.parameters * dtype_info(dtype).block_bytes;
  return plan;
}

ModelPlan plan_model(const fs::path& path) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  const bool is_json = path.extension() == ".json";
  if (!is_json && (!is_folder || has_weight_files(path))) {
    ModelPlan plan = plan_checkpoint(Checkpoint::open(path));
    if (const auto file = is_folder ? read_object(path / "config.json") : std::nullopt) {
      plan.quantization = quantization_method(file->fields());
    }
    return plan;
  }
  if (is_json && path.filename() != "config.json") {
    throw Error(ErrorKind::kBadModelFile,
                path.string() + ": a bare configuration must be named config.json");
  }
  const fs::path folder = is_folder ? path : path.parent_path().empty() ? "." : path.parent_path();
  const auto file = read_object(folder / "config.json");
  if (!file) {
    throw Error(ErrorKind::kIo, "'" + path.string() + "' holds no weights and no config.json");
  }
  ModelPlan plan = plan_model(read_config(folder), config_dtype(file->fields()));
  plan.quantization = quantization_method(file->fields());
  return plan;
}

}  // namespace tessera
