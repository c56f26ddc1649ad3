// Llama, Mistral and Mixtral: one config, other defaults.
#include "models/config_families.h"

namespace tessera {
namespace {

// What the configuration classes of transformers fill in for absent keys.
struct Defaults {
  int intermediate_size, max_position_embeddings;
  double rms_norm_eps, rope_theta;
};

constexpr Defaults kLlamaDefaults = {11008, 2048, 1e-6, 1e4};
constexpr Defaults kMistralDefaults = {14336, 131072, 1e-6, 1e4};
constexpr Defaults kMixtralDefaults = {14336, 131072, 1e-5, 1e6};
constexpr int kMistralKvHeads = 8;  // and Mixtral's
constexpr int kMistralWindow = 4096;

}  // namespace

void read_llama_config(const Fields& config, ModelConfig& out) {
  const bool llama = out.architecture == Architecture::kLlama;
  const bool mixtral = out.architecture == Architecture::kMixtral;
  const Defaults& defaults = llama ? kLlamaDefaults : mixtral ? kMixtralDefaults : kMistralDefaults;
  check_quantisation(config);
  out.vocab_size = config.size("vocab_size", 32000);
  read_attention_shape(config, out);
  // Null means as many as queries, a missing key the default of the class.
  const int kv_default =
      !llama && !config.mentions("num_key_value_heads") ? kMistralKvHeads : out.num_attention_heads;
  out.num_key_value_heads = config.size("num_key_value_heads", kv_default);
  check_head_groups(config, "num_attention_heads", "num_key_value_heads", out);
  if (out.head_dim % 2 != 0) {
    config.fail("head_dim", "is " + std::to_string(out.head_dim) + "; rope needs an even number");
  }
  out.intermediate_size = config.size("intermediate_size", defaults.intermediate_size);
  out.num_hidden_layers = config.size("num_hidden_layers", 32, kMaxLayers);
  out.hidden_act = parse_activation(config, "silu");
  out.norm_eps = config.positive("rms_norm_eps", defaults.rms_norm_eps);
  if (llama) {
    out.attention_bias = config.boolean("attention_bias", false);
    out.mlp_bias = config.boolean("mlp_bias", false);
  } else if (config.has("sliding_window")) {
    out.sliding_window = config.size("sliding_window");
  } else if (!mixtral && !config.mentions("sliding_window")) {
    out.sliding_window = kMistralWindow;
  }
  if (mixtral) {
    out.num_local_experts = config.size("num_local_experts", 8, kMaxExperts);
    out.num_experts_per_tok = config.size("num_experts_per_tok", 2, out.num_local_experts);
    out.moe_normalize_expert_weights = 1.0;
  }
  out.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  out.max_position_embeddings =
      config.size("max_position_embeddings", defaults.max_position_embeddings);
  read_rope(config, defaults.rope_theta, out);
}

void read_gguf_llama(const GgufFields& fields, ModelConfig& out) {
  if (fields.integer("expert_count").value_or(0) != 0) {
    out.architecture = Architecture::kMixtral;
    read_gguf_experts(fields, out);
  }
  out.norm_eps = fields.positive("attention.layer_norm_rms_epsilon");
  out.rope_interleaved = true;
  out.attention_bias = fields.has_tensor("blk.0.attn_q.bias");
  out.mlp_bias = fields.has_tensor("blk.0.ffn_up.bias");
  out.tie_word_embeddings = !fields.has_tensor("output.weight");
  if (fields.integer("attention.sliding_window").value_or(0) != 0) {
    out.sliding_window = fields.size("attention.sliding_window");
  }
  if (out.head_dim % 2 != 0) {
    fields.fail("attention.key_length",
                "is " + std::to_string(out.head_dim) + "; rope needs an even number");
  }
  read_gguf_rope(fields, out);
}

}  // namespace tessera
