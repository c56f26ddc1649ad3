// DBRX (databricks.com/blog/introducing-dbrx, github.com/databricks/dbrx): LayerNorm without bias
// before each block, one packed QKV projection that is clipped, rotary positions, grouped-query
// attention, and a mixture of many small SwiGLU experts. Tensor names as in the checkpoint.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "compute/activation.h"
#include "compute/moe.h"
#include "compute/norm.h"
#include "models/architectures.h"
#include "models/embedding_table.h"
#include "models/rope_attention.h"

namespace tessera {
namespace {

struct Layer {
  std::vector<float> norm_1;    // [hidden]
  Linear Wqkv;                  // [(heads + 2*kv_heads) * head_dim, hidden]
  Linear out_proj;              // [hidden, hidden]
  std::vector<float> norm_2;    // [hidden]
  Linear router;                // [experts, hidden]
  std::vector<Expert> experts;  // [intermediate, hidden] twice and back, each
};

// The transpose of a stored matrix: w2 is applied as u w2, so its columns are a Linear's rows.
class Transposed final : public RowSource {
 public:
  explicit Transposed(const RawTensor& matrix) : matrix_(matrix) {}  // [in, out], a plain type

  DType best_type() const override { return matrix_.dtype; }
  void read(std::int64_t first, std::int64_t count, float* out) const override {
    const DTypeInfo& info = dtype_info(matrix_.dtype);
    const std::int64_t in = matrix_.rows();
    std::vector<float> part(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < in; ++i) {
      dequantize(matrix_.dtype, matrix_.row(i) + first * info.block_bytes, count, part.data());
      for (std::int64_t r = 0; r < count; ++r) out[r * in + i] = part[static_cast<std::size_t>(r)];
    }
  }
  void read_blocks(DType, std::int64_t, std::int64_t, std::byte*) const override {}  // has none
  void release_pages() const override {
    if (matrix_.file.empty()) return;
    tessera::release_pages(matrix_.file, {matrix_.data, matrix_.data + matrix_.bytes()});
  }

 private:
  RawTensor matrix_;
};

class Dbrx final : public LanguageModel {
 public:
  Dbrx(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
       ThreadPool& pool);
  const ModelInfo& info() const override { return info_; }
  void forward(const Batch& batch, KvCache& kv, Tensor& logits) override;

 private:
  Layer load_layer(int index, WeightFormat format);
  Expert load_expert(const std::string& mlp, int expert, WeightFormat format);
  RawTensor transpose(const RawTensor& w2) const;
  void attend(const Layer& layer, const Batch& batch, const KvLayer& kv, Tensor& x);
  void mix_experts(const Layer& layer, Tensor& x);

  Checkpoint checkpoint_;
  ModelConfig config_;
  ModelInfo info_;
  ThreadPool& pool_;
  float epsilon_;
  RopeAttention attention_;

  EmbeddingTable wte_;  // [vocab, hidden]
  std::vector<Layer> blocks_;
  std::vector<float> norm_f_;  // [hidden]
  Linear lm_head_;             // [vocab, hidden]

  // Scratch, reused from call to call.
  Activation activation_;
  MixtureOfExperts moe_;
  Routing routing_;
  Tensor x_, qkv_, attended_, normed_, router_logits_, last_;
};

Dbrx::Dbrx(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
           ThreadPool& pool)
    : checkpoint_(std::move(checkpoint)),
      config_(config),
      info_(describe(checkpoint_, config)),
      pool_(pool),
      epsilon_(static_cast<float>(config.norm_eps)),
      attention_(checkpoint_, config) {
  const std::int64_t vocab = config.vocab_size, hidden = config.hidden_size;
  wte_ = EmbeddingTable(checkpoint_.get("transformer.wte.weight", {vocab, hidden}));
  for (int l = 0; l < config.num_hidden_layers; ++l) {
    blocks_.push_back(load_layer(l, options.weight_format));
  }
  norm_f_ = read_vector(checkpoint_, "transformer.norm_f.weight", hidden);
  lm_head_ = Linear::pack({&checkpoint_.get("lm_head.weight", {vocab, hidden}), 1}, {},
                          options.weight_format, pool_);
  lm_head_.expect_outliers();
  checkpoint_.release_pages();  // everything but the embedding rows has been repacked

  info_.weight_bytes = wte_.bytes() + lm_head_.bytes();
  for (const Layer& block : blocks_) {
    info_.weight_bytes += block.Wqkv.bytes() + block.out_proj.bytes() + block.router.bytes();
    for (const Expert& expert : block.experts) info_.weight_bytes += expert.bytes();
  }
}

Layer Dbrx::load_layer(int index, WeightFormat format) {
  const std::string prefix = "transformer.blocks." + std::to_string(index) + ".";
  const std::string attn = prefix + "norm_attn_norm.";
  const std::int64_t hidden = config_.hidden_size;
  const auto linear = [&](const std::string& name, std::int64_t out, WeightFormat held) {
    return Linear::pack({&checkpoint_.get(name + ".weight", {out, hidden}), 1}, {}, held, pool_);
  };
  Layer layer;
  layer.norm_1 = read_vector(checkpoint_, attn + "norm_1.weight", hidden);
  layer.Wqkv = linear(attn + "attn.Wqkv", attention_.shape().qkv_size(), format);
  layer.Wqkv.expect_outliers();
  layer.out_proj = linear(attn + "attn.out_proj", hidden, format);
  layer.norm_2 = read_vector(checkpoint_, attn + "norm_2.weight", hidden);
  // Small, and a rounded router takes other experts: never below f32.
  layer.router = linear(prefix + "ffn.router.layer", config_.num_local_experts, WeightFormat::kF32);
  for (int e = 0; e < config_.num_local_experts; ++e) {
    layer.experts.push_back(load_expert(prefix + "ffn.experts.mlp.", e, format));
  }
  return layer;
}

Expert Dbrx::load_expert(const std::string& mlp, int expert, WeightFormat format) {
  const std::int64_t hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  const std::int64_t experts = config_.num_local_experts;
  RawTensor w1, v1, w2;
  if (checkpoint_.is_gguf()) {  // stacked, w2 transposed already
    w1 = matrix_of(checkpoint_.get(mlp + "w1.weight", {experts, intermediate, hidden}), expert);
    v1 = matrix_of(checkpoint_.get(mlp + "v1.weight", {experts, intermediate, hidden}), expert);
    w2 = matrix_of(checkpoint_.get(mlp + "w2.weight", {experts, hidden, intermediate}), expert);
  } else {  // one below the other
    const auto part = [&](const char* name) {
      return rows_of(checkpoint_.get(mlp + name, {experts * intermediate, hidden}),
                     expert * intermediate, intermediate);
    };
    w1 = part("w1");
    v1 = part("v1");
    w2 = transpose(part("w2"));
  }
  return {Linear::pack_gated(w1, v1, format, pool_), Linear::pack({&w2, 1}, {}, format, pool_)};
}

RawTensor Dbrx::transpose(const RawTensor& w2) const {
  if (w2.source != nullptr || dtype_info(w2.dtype).block_elements != 1) {
    throw Error(ErrorKind::kUnsupportedModel,
                checkpoint_.path().string() + ": experts.mlp.w2 has type " +
                    std::string(dtype_info(w2.dtype).name) + ", wanted a float type");
  }
  RawTensor rows;
  rows.dtype = w2.dtype;
  rows.shape = {w2.shape[1], w2.shape[0]};
  rows.source = std::make_shared<Transposed>(w2);
  return rows;
}

void Dbrx::forward(const Batch& batch, KvCache& kv, Tensor& logits) {
  attention_.prepare(batch);
  wte_.embed(batch.token_ids, x_, pool_);  // x: [tokens, hidden]
  for (int l = 0; l < config_.num_hidden_layers; ++l) {
    attend(blocks_[static_cast<std::size_t>(l)], batch, kv.layer(l), x_);
    mix_experts(blocks_[static_cast<std::size_t>(l)], x_);
  }
  if (batch.logit_rows.empty()) {
    logits.resize(0, config_.vocab_size);
    return;
  }
  gather_rows(x_, batch.logit_rows, last_);
  activation_.prepare_layer_norm(last_, norm_f_, {}, epsilon_, lm_head_.activation_format(), pool_);
  lm_head_.forward(activation_, logits, pool_);
}

// x += out_proj(attention(rotary(clip(Wqkv(norm_1(x))))))
void Dbrx::attend(const Layer& layer, const Batch& batch, const KvLayer& kv, Tensor& x) {
  activation_.prepare_layer_norm(x, layer.norm_1, {}, epsilon_, layer.Wqkv.activation_format(),
                                 pool_);
  layer.Wqkv.forward(activation_, qkv_, pool_);
  if (config_.clip_qkv) clamp(qkv_, static_cast<float>(*config_.clip_qkv), pool_);  // values, too
  attention_.forward(batch, kv, qkv_, attended_, pool_);
  activation_.prepare(attended_, layer.out_proj.activation_format(), pool_);
  layer.out_proj.forward_add(activation_, x, pool_);
}

// x += sum over the best experts of norm_2(x): p_e * (silu(h w1_e^T) * (h v1_e^T)) w2_e
void Dbrx::mix_experts(const Layer& layer, Tensor& x) {
  layer_norm(x, layer.norm_2, {}, epsilon_, normed_, pool_);
  activation_.prepare(normed_, layer.router.activation_format(), pool_);
  layer.router.forward(activation_, router_logits_, pool_);
  route(router_logits_, config_.num_experts_per_tok, config_.moe_normalize_expert_weights, routing_,
        pool_);
  moe_.forward_add(normed_, routing_, layer.experts, Gate::kSilu, x, pool_);
}

}  // namespace

std::unique_ptr<LanguageModel> load_dbrx(Checkpoint checkpoint, const ModelConfig& config,
                                         const LoadOptions& options, ThreadPool& pool) {
  return std::make_unique<Dbrx>(std::move(checkpoint), config, options, pool);
}

}  // namespace tessera
