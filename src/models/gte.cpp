// GTE v1.5 (arXiv:2407.19669; NewModel of Alibaba-NLP/new-impl): an encoder with rotary positions,
// a gated GELU MLP and a norm after each block. Tensor names as in the checkpoint, without the
// prefix "new." that task heads add.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "compute/norm.h"
#include "models/architectures.h"

namespace tessera {
namespace {

struct Norm {
  std::vector<float> weight, bias;  // [hidden]; no bias for rms_norm
};

struct Layer {
  Linear qkv_proj;  // [3 * hidden, hidden]
  Linear o_proj;    // [hidden, hidden]
  Norm attn_ln;
  Linear gate_up_proj;  // [intermediate, hidden] twice
  Linear down_proj;     // [hidden, intermediate]
  Norm mlp_ln;
};

class Gte final : public EmbeddingModel {
 public:
  Gte(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
      ThreadPool& pool);
  const ModelInfo& info() const override { return info_; }
  bool normalizes() const override { return config_.normalize; }
  void forward(const Batch& batch, Tensor& embeddings) override;

 private:
  Linear dense(const std::string& name, std::int64_t out, std::int64_t in, WeightFormat format);
  Norm norm(const std::string& name) const;
  Linear load_qkv(const std::string& prefix, WeightFormat format);
  Linear load_gate_up(const std::string& prefix, WeightFormat format);
  Layer load_layer(int index, WeightFormat format);
  void embed_batch(const Batch& batch, Tensor& x);
  void normalize(const Norm& norm, Tensor& x);
  void attend(const Layer& layer, const Batch& batch, Tensor& x);
  void mlp(const Layer& layer, Tensor& x);

  Checkpoint checkpoint_;
  ModelConfig config_;
  ModelInfo info_;
  ThreadPool& pool_;
  AttentionShape shape_;
  RotaryTable rotary_;
  float epsilon_;

  const RawTensor* word_embeddings_;  // [vocab, hidden]
  std::vector<float> token_type_;     // [hidden]: type 0; empty when there are no types
  Norm embedding_norm_;
  std::vector<Layer> layers_;

  // Scratch, reused from call to call.
  Attention attention_;
  Activation activation_;
  Tensor x_, qkv_, attended_, gated_;
};

Gte::Gte(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
         ThreadPool& pool)
    : checkpoint_(std::move(checkpoint)),
      config_(config),
      info_(describe(checkpoint_, config)),
      pool_(pool),
      shape_(attention_shape(config)),
      rotary_(rope_frequencies(config.rope_theta, config.rope_scaling, config.head_dim)),
      epsilon_(static_cast<float>(config.norm_eps)) {
  const std::int64_t hidden = config.hidden_size;
  if (options.max_sequence_length > 0) {
    info_.context_length = std::min(info_.context_length, options.max_sequence_length);
  }
  word_embeddings_ =
      &checkpoint_.get("embeddings.word_embeddings.weight", {config.vocab_size, hidden});
  if (config.type_vocab_size > 0) {
    token_type_.resize(static_cast<std::size_t>(hidden));
    dequantize_row(checkpoint_.get("embeddings.token_type_embeddings.weight",
                                   {config.type_vocab_size, hidden}),
                   0, token_type_.data());
  }
  embedding_norm_ = {read_vector(checkpoint_, "embeddings.LayerNorm.weight", hidden),
                     read_vector(checkpoint_, "embeddings.LayerNorm.bias", hidden)};

  info_.weight_bytes = word_embeddings_->bytes();
  for (int l = 0; l < config.num_hidden_layers; ++l) {
    layers_.push_back(load_layer(l, options.weight_format));
    const Layer& layer = layers_.back();
    info_.weight_bytes += layer.qkv_proj.bytes() + layer.o_proj.bytes() +
                          layer.gate_up_proj.bytes() + layer.down_proj.bytes();
  }
  checkpoint_.release_pages();  // everything but the word embeddings has been repacked
}

Linear Gte::dense(const std::string& name, std::int64_t out, std::int64_t in, WeightFormat format) {
  const RawTensor& weight = checkpoint_.get(name + ".weight", {out, in});
  return Linear::pack({&weight, 1}, read_vector(checkpoint_, name + ".bias", out), format, pool_);
}

Norm Gte::norm(const std::string& name) const {
  Norm norm;
  norm.weight = read_vector(checkpoint_, name + ".weight", config_.hidden_size);
  if (!config_.rms_norm) norm.bias = read_vector(checkpoint_, name + ".bias", config_.hidden_size);
  return norm;
}

// Packed, or q_proj, k_proj and v_proj (pack_qkv: false).
Linear Gte::load_qkv(const std::string& prefix, WeightFormat format) {
  const std::int64_t hidden = config_.hidden_size;
  if (checkpoint_.find(prefix + "q_proj.weight") == nullptr) {
    return dense(prefix + "qkv_proj", 3 * hidden, hidden, format);
  }
  std::vector<RawTensor> parts;
  std::vector<float> bias;
  for (const char* part : {"q_proj", "k_proj", "v_proj"}) {
    parts.push_back(checkpoint_.get(prefix + part + ".weight", {hidden, hidden}));
    bias = concatenate({bias, read_vector(checkpoint_, prefix + part + ".bias", hidden)});
  }
  return Linear::pack(parts, bias, format, pool_);
}

// The first half of the stored rows is up, the second gate.
Linear Gte::load_gate_up(const std::string& prefix, WeightFormat format) {
  const std::int64_t intermediate = config_.intermediate_size;
  const RawTensor& both =
      checkpoint_.get(prefix + "up_gate_proj.weight", {2 * intermediate, config_.hidden_size});
  RawTensor up = both, gate = both;
  up.shape[0] = gate.shape[0] = intermediate;
  gate.data = both.row(intermediate);
  return Linear::pack_gated(gate, up, format, pool_);
}

Layer Gte::load_layer(int index, WeightFormat format) {
  const std::string prefix = "encoder.layer." + std::to_string(index) + ".";
  const std::int64_t hidden = config_.hidden_size;
  Layer layer;
  layer.qkv_proj = load_qkv(prefix + "attention.", format);
  layer.o_proj = dense(prefix + "attention.o_proj", hidden, hidden, format);
  layer.attn_ln = norm(prefix + "attn_ln");
  layer.gate_up_proj = load_gate_up(prefix + "mlp.", format);
  layer.down_proj = dense(prefix + "mlp.down_proj", hidden, config_.intermediate_size, format);
  layer.mlp_ln = norm(prefix + "mlp_ln");
  return layer;
}

void Gte::forward(const Batch& batch, Tensor& embeddings) {
  embed_batch(batch, x_);  // x: [tokens, hidden]
  for (const Layer& layer : layers_) {
    attend(layer, batch, x_);
    mlp(layer, x_);
  }
  pool_sequences(config_.pooling, x_, batch.cu_seqlens, embeddings);
}

// x = norm(word[token] + type[0])
void Gte::embed_batch(const Batch& batch, Tensor& x) {
  check_encoder_batch(batch, info_.context_length);
  if (!batch.positions.empty()) {
    rotary_.ensure(*std::max_element(batch.positions.begin(), batch.positions.end()) + 1);
  }
  embed(batch.token_ids, *word_embeddings_, x, pool_);
  if (!token_type_.empty()) {
    for (std::int64_t t = 0; t < x.rows(); ++t) {
      for (std::int64_t c = 0; c < x.cols(); ++c) {
        x.row(t)[c] += token_type_[static_cast<std::size_t>(c)];
      }
    }
  }
  layer_norm(x, embedding_norm_.weight, embedding_norm_.bias, epsilon_, x, pool_);
}

void Gte::normalize(const Norm& norm, Tensor& x) {
  if (config_.rms_norm) {
    rms_norm(x, norm.weight, epsilon_, x, pool_);
  } else {
    layer_norm(x, norm.weight, norm.bias, epsilon_, x, pool_);
  }
}

// x = attn_ln(x + o_proj(attention(rotary(qkv_proj(x)))))
void Gte::attend(const Layer& layer, const Batch& batch, Tensor& x) {
  activation_.prepare(x, layer.qkv_proj.activation_format(), pool_);
  layer.qkv_proj.forward(activation_, qkv_, pool_);
  rotate(qkv_, 0, shape_, batch.positions, rotary_, RopePairing::kHalfSplit, pool_);
  attention_.bidirectional(qkv_, shape_, batch.cu_seqlens,
                           layer.qkv_proj.activation_format() == ActivationFormat::kBF16, attended_,
                           pool_);
  activation_.prepare(attended_, layer.o_proj.activation_format(), pool_);
  layer.o_proj.forward_add(activation_, x, pool_);
  normalize(layer.attn_ln, x);
}

// x = mlp_ln(x + down_proj(gelu(gate(x)) * up(x)))
void Gte::mlp(const Layer& layer, Tensor& x) {
  activation_.prepare(x, layer.gate_up_proj.activation_format(), pool_);
  layer.gate_up_proj.forward_gated(activation_, Gate::kGelu, gated_, pool_);
  activation_.prepare(gated_, layer.down_proj.activation_format(), pool_);
  layer.down_proj.forward_add(activation_, x, pool_);
  normalize(layer.mlp_ln, x);
}

}  // namespace

std::unique_ptr<EmbeddingModel> load_gte(Checkpoint checkpoint, const ModelConfig& config,
                                         const LoadOptions& options, ThreadPool& pool) {
  return std::make_unique<Gte>(std::move(checkpoint), config, options, pool);
}

}  // namespace tessera
