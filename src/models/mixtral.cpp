// Mixtral (arXiv:2401.04088): Llama's attention, and a mixture of SwiGLU experts in the place of
// its MLP. Tensor names as in the checkpoint, of which there are two layouts: an expert at a time
// (w1 gate, w2 down, w3 up), and fused as transformers 5 saves them. GGUF files have a third.
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "compute/moe.h"
#include "compute/norm.h"
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
  Linear gate;                                  // [experts, hidden], the router
  std::vector<Expert> experts;                  // [intermediate, hidden] twice and back, each
};

// The matrices of one expert.
struct ExpertWeights {
  RawTensor gate, up, down;
};

class Mixtral final : public LanguageModel {
 public:
  Mixtral(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
          ThreadPool& pool);
  const ModelInfo& info() const override { return info_; }
  void forward(const Batch& batch, KvCache& kv, Tensor& logits) override;

 private:
  Layer load_layer(int index, WeightFormat format);
  ExpertWeights expert_weights(const std::string& layer, int expert) const;
  void attend(const Layer& layer, const Batch& batch, const KvLayer& kv, Tensor& x);
  void mix_experts(const Layer& layer, Tensor& x);

  Checkpoint checkpoint_;
  ModelConfig config_;
  ModelInfo info_;
  ThreadPool& pool_;
  float epsilon_;
  RopeAttention attention_;

  EmbeddingTable embed_tokens_;  // [vocab, hidden]
  std::vector<Layer> layers_;
  std::vector<float> norm_;  // [hidden]
  Linear lm_head_;           // [vocab, hidden]

  // Scratch, reused from call to call.
  Activation activation_;
  MixtureOfExperts moe_;
  Routing routing_;
  Tensor x_, qkv_, attended_, normed_, router_logits_, last_;
};

Mixtral::Mixtral(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
                 ThreadPool& pool)
    : checkpoint_(std::move(checkpoint)),
      config_(config),
      info_(describe(checkpoint_, config)),
      pool_(pool),
      epsilon_(static_cast<float>(config.norm_eps)),
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
  checkpoint_.release_pages();

  info_.weight_bytes = embed_tokens_.bytes() + lm_head_.bytes();
  for (const Layer& layer : layers_) {
    info_.weight_bytes += layer.qkv_proj.bytes() + layer.o_proj.bytes() + layer.gate.bytes();
    for (const Expert& expert : layer.experts) info_.weight_bytes += expert.bytes();
  }
}

Layer Mixtral::load_layer(int index, WeightFormat format) {
  const std::string prefix = "model.layers." + std::to_string(index) + ".";
  const std::int64_t hidden = config_.hidden_size;
  const std::int64_t q_size = attention_.shape().q_size(), kv_size = attention_.shape().kv_size();
  const auto weight = [&](const char* name, std::int64_t out, std::int64_t in) -> const RawTensor& {
    return checkpoint_.get(prefix + name + ".weight", {out, in});
  };
  Layer layer;
  layer.input_layernorm = read_vector(checkpoint_, prefix + "input_layernorm.weight", hidden);
  const RawTensor qkv[] = {weight("self_attn.q_proj", q_size, hidden),
                           weight("self_attn.k_proj", kv_size, hidden),
                           weight("self_attn.v_proj", kv_size, hidden)};
  layer.qkv_proj = Linear::pack(qkv, {}, format, pool_);
  layer.qkv_proj.expect_outliers();
  layer.o_proj = Linear::pack({&weight("self_attn.o_proj", hidden, q_size), 1}, {}, format, pool_);

  layer.post_attention_layernorm =
      read_vector(checkpoint_, prefix + "post_attention_layernorm.weight", hidden);
  const bool fused = checkpoint_.find(prefix + "mlp.gate.weight") != nullptr;
  // Small, and a rounded router takes other experts: never below f32.
  layer.gate = Linear::pack(
      {&weight(fused ? "mlp.gate" : "block_sparse_moe.gate", config_.num_local_experts, hidden), 1},
      {}, WeightFormat::kF32, pool_);
  for (int e = 0; e < config_.num_local_experts; ++e) {
    const ExpertWeights expert = expert_weights(prefix, e);
    layer.experts.push_back({Linear::pack_gated(expert.gate, expert.up, format, pool_),
                             Linear::pack({&expert.down, 1}, {}, format, pool_)});
  }
  return layer;
}

ExpertWeights Mixtral::expert_weights(const std::string& layer, int expert) const {
  const std::int64_t hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  const std::int64_t experts = config_.num_local_experts;
  if (checkpoint_.find(layer + "mlp.experts.gate_up_proj") != nullptr) {
    // [experts, 2*intermediate, hidden]: rows of w1, then of w3.
    const RawTensor both = matrix_of(
        checkpoint_.get(layer + "mlp.experts.gate_up_proj", {experts, 2 * intermediate, hidden}),
        expert);
    const RawTensor& down =
        checkpoint_.get(layer + "mlp.experts.down_proj", {experts, hidden, intermediate});
    return {rows_of(both, 0, intermediate), rows_of(both, intermediate, intermediate),
            matrix_of(down, expert)};
  }
  const std::string prefix = layer + "block_sparse_moe.experts.";
  if (checkpoint_.find(prefix + "w1.weight") != nullptr) {  // GGUF
    return {
        matrix_of(checkpoint_.get(prefix + "w1.weight", {experts, intermediate, hidden}), expert),
        matrix_of(checkpoint_.get(prefix + "w3.weight", {experts, intermediate, hidden}), expert),
        matrix_of(checkpoint_.get(prefix + "w2.weight", {experts, hidden, intermediate}), expert)};
  }
  const std::string own = prefix + std::to_string(expert) + ".";
  return {checkpoint_.get(own + "w1.weight", {intermediate, hidden}),
          checkpoint_.get(own + "w3.weight", {intermediate, hidden}),
          checkpoint_.get(own + "w2.weight", {hidden, intermediate})};
}

void Mixtral::forward(const Batch& batch, KvCache& kv, Tensor& logits) {
  attention_.prepare(batch);
  embed_tokens_.embed(batch.token_ids, x_, pool_);  // x: [tokens, hidden]
  for (int l = 0; l < config_.num_hidden_layers; ++l) {
    attend(layers_[static_cast<std::size_t>(l)], batch, kv.layer(l), x_);
    mix_experts(layers_[static_cast<std::size_t>(l)], x_);
  }
  if (batch.logit_rows.empty()) {
    logits.resize(0, config_.vocab_size);
    return;
  }
  gather_rows(x_, batch.logit_rows, last_);
  activation_.prepare_rms_norm(last_, norm_, epsilon_, lm_head_.activation_format(), pool_);
  lm_head_.forward(activation_, logits, pool_);
}

// x += o_proj(attention(rotary(qkv_proj(norm(x)))))
void Mixtral::attend(const Layer& layer, const Batch& batch, const KvLayer& kv, Tensor& x) {
  activation_.prepare_rms_norm(x, layer.input_layernorm, epsilon_,
                               layer.qkv_proj.activation_format(), pool_);
  layer.qkv_proj.forward(activation_, qkv_, pool_);
  attention_.forward(batch, kv, qkv_, attended_, pool_);
  activation_.prepare(attended_, layer.o_proj.activation_format(), pool_);
  layer.o_proj.forward_add(activation_, x, pool_);
}

// x += sum over the best experts of norm(x): p_e * w2_e(silu(w1_e h) * (w3_e h))
void Mixtral::mix_experts(const Layer& layer, Tensor& x) {
  rms_norm(x, layer.post_attention_layernorm, epsilon_, normed_, pool_);
  activation_.prepare(normed_, layer.gate.activation_format(), pool_);
  layer.gate.forward(activation_, router_logits_, pool_);
  route(router_logits_, config_.num_experts_per_tok, config_.moe_normalize_expert_weights, routing_,
        pool_);
  moe_.forward_add(normed_, routing_, layer.experts, Gate::kSilu, x, pool_);
}

}  // namespace

std::unique_ptr<LanguageModel> load_mixtral(Checkpoint checkpoint, const ModelConfig& config,
                                            const LoadOptions& options, ThreadPool& pool) {
  if (config.hidden_act != HiddenActivation::kSilu) {
    throw Error(ErrorKind::kUnsupportedModel,
                checkpoint.path().string() + ": hidden_act of a mixtral model must be silu");
  }
  return std::make_unique<Mixtral>(std::move(checkpoint), config, options, pool);
}

}  // namespace tessera
