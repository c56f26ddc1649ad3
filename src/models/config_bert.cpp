// BERT and BGE.
#include <algorithm>

#include "base/strings.h"
#include "models/config_families.h"

namespace tessera {

void read_bert_config(const Fields& config, ModelConfig& out) {
  check_quantisation(config);
  out.vocab_size = config.size("vocab_size", 30522);
  read_attention_shape(config, out);
  out.num_key_value_heads = out.num_attention_heads;
  out.intermediate_size = config.size("intermediate_size", 3072);
  out.num_hidden_layers = config.size("num_hidden_layers", 12, kMaxLayers);
  out.hidden_act = parse_activation(config, "gelu");
  out.norm_eps = config.positive("layer_norm_eps", 1e-12);
  out.attention_bias = out.mlp_bias = true;
  out.max_position_embeddings = config.size("max_position_embeddings", 512);
  out.type_vocab_size = config.size("type_vocab_size", 2);
  const std::string position = config.text("position_embedding_type").value_or("absolute");
  if (position != "absolute") {
    config.unsupported("position_embedding_type",
                       "is " + quote_for_message(position) + "; absolute is supported");
  }
  if (config.boolean("is_decoder", false)) config.unsupported("is_decoder", "is true");
}

void read_gguf_bert(const GgufFields& fields, ModelConfig& out) {
  out.norm_eps = fields.positive("attention.layer_norm_epsilon");
  out.hidden_act = HiddenActivation::kGelu;
  out.attention_bias = out.mlp_bias = true;
  out.type_vocab_size = static_cast<int>(std::clamp<std::int64_t>(
      fields.file().integer("tokenizer.ggml.token_type_count").value_or(2), 1, kMaxDimension));
  out.max_seq_length = out.max_position_embeddings;
  if (fields.file().boolean(fields.key("attention.causal")).value_or(false)) {
    fields.unsupported("attention.causal", "is true");
  }
  switch (const auto pooling = fields.integer("pooling_type").value_or(0)) {
    case 0:
      out.pooling = Pooling::kCls;
      break;  // not said: what a BERT without modules.json gets
    case 1:
      out.pooling = Pooling::kMean;
      break;
    case 2:
      out.pooling = Pooling::kCls;
      break;
    case 3:
      out.pooling = Pooling::kLast;
      break;
    default:
      fields.unsupported("pooling_type", "is " + std::to_string(pooling) +
                                             "; 1 (mean), 2 (cls) and 3 (last) are supported");
  }
  out.normalize = true;
}

}  // namespace tessera
