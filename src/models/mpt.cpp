// MPT (databricks.com/blog/mpt-7b, mosaicml/llm-foundry): LayerNorm before each block, ALiBi
// (arXiv:2108.12409) or learned positions, one packed QKV projection that may be clipped or
// normalised, a plain GELU MLP. Tensor names as in the checkpoint. Biases are used where they are.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "compute/activation.h"
#include "compute/norm.h"
#include "models/architectures.h"
#include "models/embedding_table.h"

namespace tessera {
namespace {

struct Norm {
  std::vector<float> weight, bias;  // [width]; bias may be empty
};

struct Layer {
  Norm norm_1;       // [hidden]
  Linear Wqkv;       // [(heads + 2*kv_heads) * head_dim, hidden]
  Norm q_ln, k_ln;   // [heads * head_dim], [kv_heads * head_dim]; only with qk_ln
  Linear out_proj;   // [hidden, heads * head_dim]
  Norm norm_2;       // [hidden]
  Linear up_proj;    // [intermediate, hidden]
  Linear down_proj;  // [hidden, intermediate]
};

class Mpt final : public LanguageModel {
 public:
  Mpt(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
      ThreadPool& pool);
  const ModelInfo& info() const override { return info_; }
  void forward(const Batch& batch, KvCache& kv, Tensor& logits) override;

 private:
  std::vector<float> bias(const std::string& name, std::int64_t out) const;
  Norm norm(const std::string& name, std::int64_t width) const;
  Linear linear(const std::string& name, std::int64_t out, std::int64_t in, WeightFormat format);
  Linear load_qkv(const std::string& prefix, WeightFormat format);
  void load_positions();
  Layer load_layer(int index, WeightFormat format);
  void prepare(const Tensor& x, const Norm& norm, const Linear& linear);
  void embed_batch(const Batch& batch, Tensor& x);
  void attend(const Layer& layer, const Batch& batch, const KvLayer& kv, Tensor& x);
  void mlp(const Layer& layer, Tensor& x);

  Checkpoint checkpoint_;
  ModelConfig config_;
  ModelInfo info_;
  ThreadPool& pool_;
  AttentionShape shape_;
  float epsilon_;

  EmbeddingTable wte_;               // [vocab, hidden]
  Tensor wpe_;                       // [positions, hidden]; no rows with ALiBi
  std::vector<float> alibi_slopes_;  // [heads]; empty without ALiBi
  std::vector<Layer> layers_;
  Norm norm_f_;     // times logit_scale
  Linear lm_head_;  // [vocab, hidden]

  // Scratch, reused from call to call.
  Attention attention_;
  Activation activation_;
  Tensor x_, qkv_, attended_, widened_, last_;
};

Mpt::Mpt(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
         ThreadPool& pool)
    : checkpoint_(std::move(checkpoint)),
      config_(config),
      info_(describe(checkpoint_, config)),
      pool_(pool),
      shape_(attention_shape(config)),
      epsilon_(static_cast<float>(config.norm_eps)) {
  const std::int64_t vocab = config.vocab_size, hidden = config.hidden_size;
  if (config.softmax_scale) shape_.scale = static_cast<float>(*config.softmax_scale);
  load_positions();

  const RawTensor& wte = checkpoint_.get("transformer.wte.weight", {vocab, hidden});
  for (int l = 0; l < config.num_hidden_layers; ++l) {
    layers_.push_back(load_layer(l, options.weight_format));
  }
  norm_f_ = norm("transformer.norm_f", hidden);
  const auto logit_scale = static_cast<float>(config.logit_scale.value_or(1.0));
  for (float& weight : norm_f_.weight) weight *= logit_scale;
  for (float& bias : norm_f_.bias) bias *= logit_scale;
  const RawTensor& head =
      config.tie_word_embeddings ? wte : checkpoint_.get("lm_head.weight", {vocab, hidden});
  lm_head_ = Linear::pack({&head, 1}, {}, options.weight_format, pool_);
  lm_head_.expect_outliers();
  wte_ = config.tie_word_embeddings ? EmbeddingTable(lm_head_) : EmbeddingTable(wte);

  checkpoint_.release_pages();  // what is left has been repacked

  info_.weight_bytes =
      wte_.bytes() + lm_head_.bytes() + wpe_.rows() * wpe_.cols() * std::int64_t{sizeof(float)};
  for (const Layer& layer : layers_) {
    info_.weight_bytes += layer.Wqkv.bytes() + layer.out_proj.bytes() + layer.up_proj.bytes() +
                          layer.down_proj.bytes();
  }
}

// Defaults of "alibi" and "learned_pos_emb" differ between the sources, so where the config leaves
// it open, learned positions are used exactly when the file has them.
void Mpt::load_positions() {
  const bool has_wpe = checkpoint_.find("transformer.wpe.weight") != nullptr;
  const bool learned = config_.learned_positions || (config_.alibi_is_assumed && has_wpe);
  if (learned) {
    const std::int64_t positions = config_.max_position_embeddings, hidden = config_.hidden_size;
    const RawTensor& table = checkpoint_.get("transformer.wpe.weight", {positions, hidden});
    wpe_.resize(positions, hidden);
    for (std::int64_t p = 0; p < positions; ++p) dequantize_row(table, p, wpe_.row(p));
  } else if (config_.alibi_bias_max) {
    alibi_slopes_ = alibi_slopes(shape_.heads, *config_.alibi_bias_max);
    shape_.alibi_slopes = alibi_slopes_;
  }
}

std::vector<float> Mpt::bias(const std::string& name, std::int64_t out) const {
  const std::string full = name + ".bias";
  if (checkpoint_.find(full) == nullptr) return {};
  return read_vector(checkpoint_, full, out);
}

Norm Mpt::norm(const std::string& name, std::int64_t width) const {
  return {read_vector(checkpoint_, name + ".weight", width), bias(name, width)};
}

Linear Mpt::linear(const std::string& name, std::int64_t out, std::int64_t in,
                   WeightFormat format) {
  const RawTensor& weight = checkpoint_.get(name + ".weight", {out, in});
  return Linear::pack({&weight, 1}, bias(name, out), format, pool_);
}

// Newer checkpoints may have Wq, Wk and Wv instead (attn_config.fused_qkv: false).
Linear Mpt::load_qkv(const std::string& prefix, WeightFormat format) {
  const std::int64_t hidden = config_.hidden_size, q = shape_.q_size(), kv = shape_.kv_size();
  if (checkpoint_.find(prefix + "Wq.weight") == nullptr) {
    return linear(prefix + "Wqkv", q + 2 * kv, hidden, format);
  }
  const RawTensor parts[] = {checkpoint_.get(prefix + "Wq.weight", {q, hidden}),
                             checkpoint_.get(prefix + "Wk.weight", {kv, hidden}),
                             checkpoint_.get(prefix + "Wv.weight", {kv, hidden})};
  const std::vector<float> biases =
      concatenate({bias(prefix + "Wq", q), bias(prefix + "Wk", kv), bias(prefix + "Wv", kv)});
  return Linear::pack(parts, biases, format, pool_);
}

Layer Mpt::load_layer(int index, WeightFormat format) {
  const std::string prefix = "transformer.blocks." + std::to_string(index) + ".";
  const std::int64_t hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  Layer layer;
  layer.norm_1 = norm(prefix + "norm_1", hidden);
  layer.Wqkv = load_qkv(prefix + "attn.", format);
  layer.Wqkv.expect_outliers();
  if (config_.qk_ln) {
    layer.q_ln = norm(prefix + "attn.q_ln", shape_.q_size());
    layer.k_ln = norm(prefix + "attn.k_ln", shape_.kv_size());
  }
  layer.out_proj = linear(prefix + "attn.out_proj", hidden, shape_.q_size(), format);
  layer.norm_2 = norm(prefix + "norm_2", hidden);
  layer.up_proj = linear(prefix + "ffn.up_proj", intermediate, hidden, format);
  layer.down_proj = linear(prefix + "ffn.down_proj", hidden, intermediate, format);
  return layer;
}

void Mpt::forward(const Batch& batch, KvCache& kv, Tensor& logits) {
  embed_batch(batch, x_);  // x: [tokens, hidden]
  for (int l = 0; l < config_.num_hidden_layers; ++l) {
    attend(layers_[static_cast<std::size_t>(l)], batch, kv.layer(l), x_);
    mlp(layers_[static_cast<std::size_t>(l)], x_);
  }
  if (batch.logit_rows.empty()) {
    logits.resize(0, config_.vocab_size);
    return;
  }
  gather_rows(x_, batch.logit_rows, last_);
  prepare(last_, norm_f_, lm_head_);
  lm_head_.forward(activation_, logits, pool_);
}

// x = wte[token] (+ wpe[position])
void Mpt::embed_batch(const Batch& batch, Tensor& x) {
  wte_.embed(batch.token_ids, x, pool_);
  if (wpe_.rows() == 0) return;
  for (std::int64_t t = 0; t < x.rows(); ++t) {
    const std::int32_t at = batch.positions[static_cast<std::size_t>(t)];
    if (at < 0 || at >= wpe_.rows()) {
      throw Error(ErrorKind::kContextLengthExceeded,
                  "The sequence has more than " + std::to_string(wpe_.rows()) +
                      " tokens, the most that this model takes.");
    }
    const float* position = wpe_.row(at);
    float* row = x.row(t);
    for (std::int64_t c = 0; c < x.cols(); ++c) row[c] += position[c];
  }
}

void Mpt::prepare(const Tensor& x, const Norm& norm, const Linear& linear) {
  activation_.prepare_layer_norm(x, norm.weight, norm.bias, epsilon_, linear.activation_format(),
                                 pool_);
}

// x += out_proj(attention(Wqkv(norm_1(x))))
void Mpt::attend(const Layer& layer, const Batch& batch, const KvLayer& kv, Tensor& x) {
  prepare(x, layer.norm_1, layer.Wqkv);
  layer.Wqkv.forward(activation_, qkv_, pool_);
  if (config_.clip_qkv) clamp(qkv_, static_cast<float>(*config_.clip_qkv), pool_);
  if (config_.qk_ln) {
    layer_norm_columns(qkv_, 0, layer.q_ln.weight, layer.q_ln.bias, epsilon_, pool_);
    layer_norm_columns(qkv_, shape_.q_size(), layer.k_ln.weight, layer.k_ln.bias, epsilon_, pool_);
  }
  store_kv(qkv_, shape_, batch.slot_mapping, kv, pool_);
  attention_.paged(qkv_, shape_, {batch.positions, batch.cu_seqlens, batch.block_tables}, kv,
                   attended_, pool_);
  activation_.prepare(attended_, layer.out_proj.activation_format(), pool_);
  layer.out_proj.forward_add(activation_, x, pool_);
}

// x += down_proj(gelu(up_proj(norm_2(x))))
void Mpt::mlp(const Layer& layer, Tensor& x) {
  prepare(x, layer.norm_2, layer.up_proj);
  layer.up_proj.forward(activation_, widened_, pool_);
  if (config_.hidden_act == HiddenActivation::kGelu) {
    gelu(widened_, pool_);
  } else {
    gelu_tanh(widened_, pool_);
  }
  activation_.prepare(widened_, layer.down_proj.activation_format(), pool_);
  layer.down_proj.forward_add(activation_, x, pool_);
}

}  // namespace

std::unique_ptr<LanguageModel> load_mpt(Checkpoint checkpoint, const ModelConfig& config,
                                        const LoadOptions& options, ThreadPool& pool) {
  return std::make_unique<Mpt>(std::move(checkpoint), config, options, pool);
}

}  // namespace tessera
