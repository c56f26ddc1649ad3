// BERT (arXiv:1810.04805) and its descendants used as sentence encoders: BGE, MiniLM. Learned
// absolute positions, LayerNorm after each block, GELU. Tensor names as in the checkpoint, without
// the prefix "bert." that some have.
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "compute/activation.h"
#include "compute/norm.h"
#include "models/architectures.h"

namespace tessera {
namespace {

struct Norm {
  std::vector<float> weight, bias;  // [hidden]
};

struct Layer {
  Linear qkv;               // [3 * hidden, hidden]: query, key, value
  Linear attention_output;  // [hidden, hidden]
  Norm attention_norm;
  Linear intermediate;  // [intermediate, hidden]
  Linear output;        // [hidden, intermediate]
  Norm output_norm;
};

class Bert final : public EmbeddingModel {
 public:
  Bert(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
       ThreadPool& pool);
  const ModelInfo& info() const override { return info_; }
  bool normalizes() const override { return config_.normalize; }
  void forward(const Batch& batch, Tensor& embeddings) override;

 private:
  const RawTensor& weight(const std::string& name, std::int64_t out, std::int64_t in) const {
    return checkpoint_.get(name + ".weight", {out, in});
  }
  Linear dense(const std::string& name, std::int64_t out, std::int64_t in, WeightFormat format);
  Norm norm(const std::string& name) const;
  Layer load_layer(int index, WeightFormat format);
  void embed_batch(const Batch& batch, Tensor& x);
  void normalize(const Norm& norm, Tensor& x);

  Checkpoint checkpoint_;
  ModelConfig config_;
  ModelInfo info_;
  ThreadPool& pool_;
  AttentionShape shape_;

  const RawTensor* word_embeddings_;  // [vocab, hidden]
  Tensor position_embeddings_;        // [positions, hidden], token type 0 added
  Norm embedding_norm_;
  std::vector<Layer> layers_;

  // Scratch, reused from call to call.
  Attention attention_;
  Activation activation_;
  Tensor x_, qkv_, attended_, widened_;
};

Bert::Bert(Checkpoint checkpoint, const ModelConfig& config, const LoadOptions& options,
           ThreadPool& pool)
    : checkpoint_(std::move(checkpoint)),
      config_(config),
      info_(describe(checkpoint_, config)),
      pool_(pool),
      shape_(attention_shape(config)) {
  const std::int64_t hidden = config.hidden_size;

  word_embeddings_ = &weight("embeddings.word_embeddings", config.vocab_size, hidden);
  const RawTensor& positions =
      weight("embeddings.position_embeddings", config.max_position_embeddings, hidden);
  std::vector<float> token_type(static_cast<std::size_t>(hidden), 0.0f);
  if (config.type_vocab_size > 0) {
    dequantize_row(weight("embeddings.token_type_embeddings", config.type_vocab_size, hidden), 0,
                   token_type.data());
  }
  if (options.max_sequence_length > 0) {
    info_.context_length = std::min(info_.context_length, options.max_sequence_length);
  }
  position_embeddings_.resize(info_.context_length, hidden);
  for (int p = 0; p < info_.context_length; ++p) {
    float* row = position_embeddings_.row(p);
    dequantize_row(positions, p, row);
    for (std::int64_t c = 0; c < hidden; ++c) row[c] += token_type[static_cast<std::size_t>(c)];
  }
  embedding_norm_ = norm("embeddings.LayerNorm");

  info_.weight_bytes = word_embeddings_->bytes() + position_embeddings_.rows() * hidden * 4;
  for (int l = 0; l < config.num_hidden_layers; ++l) {
    layers_.push_back(load_layer(l, options.weight_format));
    const Layer& layer = layers_.back();
    info_.weight_bytes += layer.qkv.bytes() + layer.attention_output.bytes() +
                          layer.intermediate.bytes() + layer.output.bytes();
  }
  checkpoint_.release_pages();  // everything but the word embeddings has been repacked
}

Linear Bert::dense(const std::string& name, std::int64_t out, std::int64_t in,
                   WeightFormat format) {
  return Linear::pack({&weight(name, out, in), 1}, read_vector(checkpoint_, name + ".bias", out),
                      format, pool_);
}

Norm Bert::norm(const std::string& name) const {
  return {read_vector(checkpoint_, name + ".weight", config_.hidden_size),
          read_vector(checkpoint_, name + ".bias", config_.hidden_size)};
}

Layer Bert::load_layer(int index, WeightFormat format) {
  const std::string name = "encoder.layer." + std::to_string(index) + ".";
  const std::int64_t hidden = config_.hidden_size, q_size = shape_.q_size();
  Layer layer;
  std::vector<RawTensor> parts;
  std::vector<float> bias;
  for (const char* part : {"query", "key", "value"}) {
    const std::string full = name + "attention.self." + part;
    parts.push_back(weight(full, q_size, hidden));
    bias = concatenate({bias, read_vector(checkpoint_, full + ".bias", q_size)});
  }
  layer.qkv = Linear::pack(parts, bias, format, pool_);
  layer.attention_output = dense(name + "attention.output.dense", hidden, q_size, format);
  layer.attention_norm = norm(name + "attention.output.LayerNorm");
  layer.intermediate =
      dense(name + "intermediate.dense", config_.intermediate_size, hidden, format);
  layer.output = dense(name + "output.dense", hidden, config_.intermediate_size, format);
  layer.output_norm = norm(name + "output.LayerNorm");
  return layer;
}

void Bert::embed_batch(const Batch& batch, Tensor& x) {
  check_encoder_batch(batch, position_embeddings_.rows());
  embed(batch.token_ids, *word_embeddings_, x, pool_);
  for (std::int64_t t = 0; t < x.rows(); ++t) {
    const float* position = position_embeddings_.row(batch.positions[static_cast<std::size_t>(t)]);
    float* row = x.row(t);
    for (std::int64_t c = 0; c < x.cols(); ++c) row[c] += position[c];
  }
  normalize(embedding_norm_, x);
}

void Bert::normalize(const Norm& norm, Tensor& x) {
  layer_norm(x, norm.weight, norm.bias, static_cast<float>(config_.norm_eps), x, pool_);
}

void Bert::forward(const Batch& batch, Tensor& embeddings) {
  Tensor& x = x_;  // [tokens, hidden]
  embed_batch(batch, x);
  for (const Layer& layer : layers_) {
    activation_.prepare(x, layer.qkv.activation_format(), pool_);
    layer.qkv.forward(activation_, qkv_, pool_);
    attention_.bidirectional(qkv_, shape_, batch.cu_seqlens,
                             layer.qkv.activation_format() == ActivationFormat::kBF16, attended_,
                             pool_);
    activation_.prepare(attended_, layer.attention_output.activation_format(), pool_);
    layer.attention_output.forward_add(activation_, x, pool_);
    normalize(layer.attention_norm, x);

    activation_.prepare(x, layer.intermediate.activation_format(), pool_);
    layer.intermediate.forward(activation_, widened_, pool_);
    if (config_.hidden_act == HiddenActivation::kGelu) {
      gelu(widened_, pool_);
    } else {
      gelu_tanh(widened_, pool_);
    }
    activation_.prepare(widened_, layer.output.activation_format(), pool_);
    layer.output.forward_add(activation_, x, pool_);
    normalize(layer.output_norm, x);
  }
  pool_sequences(config_.pooling, x, batch.cu_seqlens, embeddings);
}

}  // namespace

std::unique_ptr<EmbeddingModel> load_bert(Checkpoint checkpoint, const ModelConfig& config,
                                          const LoadOptions& options, ThreadPool& pool) {
  if (config.hidden_act == HiddenActivation::kSilu) {
    throw Error(ErrorKind::kUnsupportedModel,
                checkpoint.path().string() + ": hidden_act of a bert model must be a gelu");
  }
  return std::make_unique<Bert>(std::move(checkpoint), config, options, pool);
}

}  // namespace tessera
