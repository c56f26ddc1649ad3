// Llama 2, 3, 3.1, 3.2, 3.3 (arXiv:2307.09288, arXiv:2407.21783), SmolLM2, and Mistral
// (arXiv:2310.06825), which is a Llama with a sliding window: RMSNorm before each block, rotary
// positions, grouped-query attention, SwiGLU. Tensor names as in the checkpoint.
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "compute/activation.h"
#include "models/architectures.h"
#include "models/embedding_table.h"
#include "models/rope_attention.h"

namespace tessera {
namespace {

struct Layer {
  std::vector<float> input_layernorm;           // [hidden]
  Linear qkv_proj;                              // [(heads + 2*kv_heads) * head_dim, hidden]
  Linear o_proj;                                // [hidden, heads * head_dim]
  std::vector<float> post_attention_layernorm;  // [hidden]
  Linear gate_up_proj;                          // [intermediate, hidden] twice
  Linear down_proj;                             // [hidden, intermediate]
};

class Llama final : public LanguageModel {
 public:
  Llama(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
        ThreadPool& pool);
  const ModelInfo& info() const override { return info_; }
  void forward(const Batch& batch, KvCache& kv, Tensor& logits) override;

 private:
  Layer load_layer(int index, WeightFormat format);
  void attend(const Layer& layer, const Batch& batch, const KvLayer& kv, Tensor& x);
  void mlp(const Layer& layer, Tensor& x);

  Checkpoint checkpoint_;
  ModelConfig config_;
  ModelInfo info_;
  ThreadPool& pool_;

  RopeAttention attention_;

  EmbeddingTable embed_tokens_;  // [vocab, hidden]
  std::vector<Layer> layers_;
  std::vector<float> norm_;  // [hidden]
  Linear lm_head_;           // [vocab, hidden]

  // Scratch, reused from call to call.
  Activation activation_;
  Tensor x_, qkv_, attended_, gate_up_, gated_, last_;
};

Llama::Llama(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
             ThreadPool& pool)
    : checkpoint_(std::move(checkpoint)),
      config_(config),
      info_(describe(checkpoint_, config)),
      pool_(pool),
      attention_(checkpoint_, config) {
  const std::int64_t vocab = config.vocab_size, hidden = config.hidden_size;
  for (int l = 0; l < config.num_hidden_layers; ++l) {
    layers_.push_back(load_layer(l, options.weight_format));
  }
  norm_ = read_vector(checkpoint_, "model.norm.weight", hidden);
  const RawTensor& embeddings = checkpoint_.get("model.embed_tokens.weight", {vocab, hidden});
  const RawTensor& head =
      config.tie_word_embeddings ? embeddings : checkpoint_.get("lm_head.weight", {vocab, hidden});
  lm_head_ = Linear::pack({&head, 1}, {}, options.weight_format, pool_);
  lm_head_.expect_outliers();
  embed_tokens_ =
      config.tie_word_embeddings ? EmbeddingTable(lm_head_) : EmbeddingTable(embeddings);

  checkpoint_.release_pages();  // everything but the rows of untied embeddings has been repacked

  info_.weight_bytes = embed_tokens_.bytes() + lm_head_.bytes();
  for (const Layer& layer : layers_) {
    info_.weight_bytes += layer.qkv_proj.bytes() + layer.o_proj.bytes() +
                          layer.gate_up_proj.bytes() + layer.down_proj.bytes();
  }
}

Layer Llama::load_layer(int index, WeightFormat format) {
  const std::string prefix = "model.layers." + std::to_string(index) + ".";
  const std::int64_t hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  const std::int64_t q_size = attention_.shape().q_size(), kv_size = attention_.shape().kv_size();
  const auto weight = [&](const char* name, std::int64_t out, std::int64_t in) -> const RawTensor& {
    return checkpoint_.get(prefix + name + ".weight", {out, in});
  };
  const auto bias = [&](bool present, const char* name, std::int64_t out) {
    return present ? read_vector(checkpoint_, prefix + name + ".bias", out) : std::vector<float>();
  };
  const bool attention_bias = config_.attention_bias, mlp_bias = config_.mlp_bias;

  Layer layer;
  layer.input_layernorm = read_vector(checkpoint_, prefix + "input_layernorm.weight", hidden);
  const RawTensor qkv[] = {weight("self_attn.q_proj", q_size, hidden),
                           weight("self_attn.k_proj", kv_size, hidden),
                           weight("self_attn.v_proj", kv_size, hidden)};
  layer.qkv_proj = Linear::pack(qkv,
                                concatenate({bias(attention_bias, "self_attn.q_proj", q_size),
                                             bias(attention_bias, "self_attn.k_proj", kv_size),
                                             bias(attention_bias, "self_attn.v_proj", kv_size)}),
                                format, pool_);
  layer.qkv_proj.expect_outliers();
  layer.o_proj = Linear::pack({&weight("self_attn.o_proj", hidden, q_size), 1},
                              bias(attention_bias, "self_attn.o_proj", hidden), format, pool_);

  layer.post_attention_layernorm =
      read_vector(checkpoint_, prefix + "post_attention_layernorm.weight", hidden);
  const RawTensor& gate = weight("mlp.gate_proj", intermediate, hidden);
  const RawTensor& up = weight("mlp.up_proj", intermediate, hidden);
  if (mlp_bias) {
    const RawTensor gate_up[] = {gate, up};
    layer.gate_up_proj = Linear::pack(gate_up,
                                      concatenate({bias(true, "mlp.gate_proj", intermediate),
                                                   bias(true, "mlp.up_proj", intermediate)}),
                                      format, pool_);
  } else {
    layer.gate_up_proj = Linear::pack_gated(gate, up, format, pool_);
  }
  layer.down_proj = Linear::pack({&weight("mlp.down_proj", hidden, intermediate), 1},
                                 bias(mlp_bias, "mlp.down_proj", hidden), format, pool_);
  return layer;
}

void Llama::forward(const Batch& batch, KvCache& kv, Tensor& logits) {
  attention_.prepare(batch);
  embed_tokens_.embed(batch.token_ids, x_, pool_);  // x: [tokens, hidden]
  for (int l = 0; l < config_.num_hidden_layers; ++l) {
    attend(layers_[static_cast<std::size_t>(l)], batch, kv.layer(l), x_);
    mlp(layers_[static_cast<std::size_t>(l)], x_);
  }
  if (batch.logit_rows.empty()) {
    logits.resize(0, config_.vocab_size);
    return;
  }
  gather_rows(x_, batch.logit_rows, last_);
  activation_.prepare_rms_norm(last_, norm_, static_cast<float>(config_.norm_eps),
                               lm_head_.activation_format(), pool_);
  lm_head_.forward(activation_, logits, pool_);
}

// x += o_proj(attention(rotary(qkv_proj(norm(x)))))
void Llama::attend(const Layer& layer, const Batch& batch, const KvLayer& kv, Tensor& x) {
  activation_.prepare_rms_norm(x, layer.input_layernorm, static_cast<float>(config_.norm_eps),
                               layer.qkv_proj.activation_format(), pool_);
  layer.qkv_proj.forward(activation_, qkv_, pool_);
  attention_.forward(batch, kv, qkv_, attended_, pool_);
  activation_.prepare(attended_, layer.o_proj.activation_format(), pool_);
  layer.o_proj.forward_add(activation_, x, pool_);
}

// x += down_proj(silu(gate_proj(norm(x))) * up_proj(norm(x)))
void Llama::mlp(const Layer& layer, Tensor& x) {
  activation_.prepare_rms_norm(x, layer.post_attention_layernorm,
                               static_cast<float>(config_.norm_eps),
                               layer.gate_up_proj.activation_format(), pool_);
  if (config_.mlp_bias) {
    layer.gate_up_proj.forward(activation_, gate_up_, pool_);
    silu_mul(gate_up_, gated_, pool_);
  } else {
    layer.gate_up_proj.forward_gated(activation_, Gate::kSilu, gated_, pool_);
  }
  activation_.prepare(gated_, layer.down_proj.activation_format(), pool_);
  layer.down_proj.forward_add(activation_, x, pool_);
}

}  // namespace

std::unique_ptr<LanguageModel> load_llama(Checkpoint checkpoint, const ModelConfig& config,
                                          const LoadOptions& options, ThreadPool& pool) {
  if (config.hidden_act != HiddenActivation::kSilu) {
    throw Error(ErrorKind::kUnsupportedModel,
                checkpoint.path().string() + ": hidden_act of a " +
                    std::string(architecture_name(config.architecture)) + " model must be silu");
  }
  return std::make_unique<Llama>(std::move(checkpoint), config, options, pool);
}

}  // namespace tessera
