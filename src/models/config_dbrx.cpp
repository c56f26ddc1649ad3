// DBRX: sizes at top level, the rest in attn_config and ffn_config.
#include "base/strings.h"
#include "models/config_families.h"

namespace tessera {
namespace {

// The LayerNorms are made without arguments: the library's epsilon, and no key for another.
constexpr double kNormEps = 1e-5;

void check_rope_dimension(int head_dim, const auto& fail) {
  if (head_dim % 2 != 0) {
    fail("makes the head dimension " + std::to_string(head_dim) + "; rope needs an even number");
  }
}

void read_attention(const Fields& attention, ModelConfig& out) {
  out.num_key_value_heads = attention.size("kv_n_heads", 1);
  if (attention.has("clip_qkv")) out.clip_qkv = attention.positive("clip_qkv", 1.0);
  out.rope_theta = attention.positive("rope_theta", 10000.0);
}

void read_experts(const Fields& ffn, ModelConfig& out) {
  out.intermediate_size = ffn.size("ffn_hidden_size", 3584);
  out.num_local_experts = ffn.size("moe_num_experts", 4, kMaxExperts);
  out.num_experts_per_tok = ffn.size("moe_top_k", 1, out.num_local_experts);
  // The published config leaves it out, which means 1; null means not to normalise.
  constexpr const char* kNormalize = "moe_normalize_expert_weights";
  if (ffn.has(kNormalize) || !ffn.mentions(kNormalize)) {
    out.moe_normalize_expert_weights = ffn.positive(kNormalize, 1.0);
  }
  if (const auto activation = ffn.object("ffn_act_fn")) {
    const std::string name = activation->text("name").value_or("silu");
    if (name != "silu") {
      activation->unsupported("name", "is " + quote_for_message(name) + "; silu is supported");
    }
  }
}

}  // namespace

void read_dbrx_config(const Fields& config, ModelConfig& out) {
  check_quantisation(config);
  out.vocab_size = config.size("vocab_size", 32000);
  out.hidden_size = config.size("d_model", 2048);
  out.num_attention_heads = config.size("n_heads", 16);
  out.num_hidden_layers = config.size("n_layers", 24, kMaxLayers);
  out.max_position_embeddings = out.context_length = config.size("max_seq_len", 2048);
  out.norm_eps = kNormEps;
  out.hidden_act = HiddenActivation::kSilu;
  if (config.boolean("tie_word_embeddings", false)) {
    config.unsupported("tie_word_embeddings", "is true; DBRX has a head of its own");
  }
  if (config.has("rope_scaling")) config.unsupported("rope_scaling", "is not null");

  // An absent object stands for all its defaults.
  static const boost::json::object kEmpty;
  const Fields defaults(kEmpty, "config.json");
  read_attention(config.object("attn_config").value_or(defaults), out);
  read_experts(config.object("ffn_config").value_or(defaults), out);

  check_head_groups(config, "n_heads", "attn_config.kv_n_heads", out);
  if (out.hidden_size % out.num_attention_heads != 0) {
    config.fail("d_model", "is " + std::to_string(out.hidden_size) +
                               ", not a multiple of n_heads " +
                               std::to_string(out.num_attention_heads));
  }
  out.head_dim = out.hidden_size / out.num_attention_heads;
  check_rope_dimension(out.head_dim,
                       [&](const std::string& what) { config.fail("d_model", what); });
}

void read_gguf_dbrx(const GgufFields& fields, ModelConfig& out) {
  out.norm_eps = fields.positive("attention.layer_norm_epsilon");
  out.hidden_act = HiddenActivation::kSilu;
  out.clip_qkv = fields.positive("attention.clamp_kqv");
  read_gguf_experts(fields, out);
  if (!fields.has("rope.freq_base")) fields.fail("rope.freq_base", "is missing");
  check_rope_dimension(out.head_dim,
                       [&](const std::string& what) { fields.fail("embedding_length", what); });
  read_gguf_rope(fields, out);
}

}  // namespace tessera
