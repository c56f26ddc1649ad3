// MPT, in the words of llm-foundry (which transformers reads, too).
#include <cmath>
#include <string>

#include "base/strings.h"
#include "models/config_families.h"

namespace tessera {
namespace {

void refuse_true(const Fields& fields, std::string_view key, const char* what) {
  if (fields.boolean(key, false)) {
    fields.unsupported(key, std::string("is true: ") + what + " is not supported");
  }
}

void refuse_presence(const Fields& fields, std::string_view key) {
  if (const auto* value = fields.find(key)) fields.wrong(key, *value, "null");
}

// d_model times expansion_ratio, which is an integer or a fraction that makes one.
int expanded(const Fields& config, int d_model) {
  const double ratio = config.positive("expansion_ratio", 4.0);
  const double size = ratio * d_model;
  if (size > kMaxDimension || size != std::floor(size)) {
    config.wrong("expansion_ratio", *config.find("expansion_ratio"),
                 "a number that gives d_model " + std::to_string(d_model) + " an integer multiple");
  }
  return static_cast<int>(size);
}

void read_ffn(const Fields& config, ModelConfig& out) {
  out.hidden_act = HiddenActivation::kGelu;
  out.intermediate_size = expanded(config, out.hidden_size);
  const auto ffn = config.object("ffn_config");
  if (!ffn) return;
  if (const auto type = ffn->text("ffn_type"); type && *type != "mptmlp") {
    ffn->unsupported("ffn_type", "is " + quote_for_message(*type) + "; mptmlp is supported");
  }
  if (ffn->has("ffn_hidden_size")) out.intermediate_size = ffn->size("ffn_hidden_size");
  if (const auto act = ffn->object("ffn_act_fn")) {
    const std::string name = act->text("name").value_or("gelu");
    const std::string approximate = act->text("approximate").value_or("none");
    if (name != "gelu") {
      act->unsupported("name", "is " + quote_for_message(name) + "; gelu is supported");
    }
    if (approximate != "none" && approximate != "tanh") {
      act->unsupported("approximate",
                       "is " + quote_for_message(approximate) + "; none and tanh are supported");
    }
    if (approximate == "tanh") out.hidden_act = HiddenActivation::kGeluTanh;
  }
}

void read_heads(const Fields& config, const Fields* attention, ModelConfig& out) {
  out.num_attention_heads = config.size("n_heads");
  if (out.hidden_size % out.num_attention_heads != 0) {
    config.fail("d_model", "is " + std::to_string(out.hidden_size) +
                               ", not a multiple of n_heads " +
                               std::to_string(out.num_attention_heads));
  }
  out.head_dim = out.hidden_size / out.num_attention_heads;
  out.num_key_value_heads = out.num_attention_heads;
  if (attention == nullptr) return;
  const std::string type = attention->text("attn_type").value_or("multihead_attention");
  if (type == "multiquery_attention") {
    out.num_key_value_heads = 1;
  } else if (type == "grouped_query_attention") {
    out.num_key_value_heads = attention->size("kv_n_heads");
    check_head_groups(config, "n_heads", "attn_config.kv_n_heads", out);
  } else if (type != "multihead_attention") {
    attention->unsupported("attn_type", "is " + quote_for_message(type) +
                                            "; multihead_attention, multiquery_attention and "
                                            "grouped_query_attention are supported");
  }
}

void read_attention(const Fields& attention, ModelConfig& out) {
  refuse_true(attention, "prefix_lm", "attention in both directions inside a prefix");
  refuse_true(attention, "rope", "rope in MPT");
  refuse_true(attention, "qk_gn", "normalisation of Q and K by heads");
  refuse_presence(attention, "attn_logit_softcapping");
  if (const auto window = attention.integer("sliding_window_size"); window && *window > 0) {
    attention.unsupported("sliding_window_size", "is " + std::to_string(*window) + ", wanted -1");
  }
  // attn_uses_sequence_id separates examples packed into one training sequence; here a sequence is
  // one request. attn_impl and attn_pdrop do not change what is computed either.
  if (const double clip = attention.number("clip_qkv").value_or(0.0); clip != 0.0) {  // 0: none
    out.clip_qkv = attention.positive("clip_qkv", clip);
  }
  if (attention.has("softmax_scale")) out.softmax_scale = attention.positive("softmax_scale", 1.0);
  out.qk_ln = attention.boolean("qk_ln", false);
}

}  // namespace

void read_mpt_config(const Fields& config, ModelConfig& out) {
  check_quantisation(config);
  const std::optional<Fields> attention = config.object("attn_config");
  out.vocab_size = config.size("vocab_size", 50368);
  out.hidden_size = config.size("d_model");
  out.num_hidden_layers = config.size("n_layers", std::nullopt, kMaxLayers);
  read_heads(config, attention ? &*attention : nullptr, out);
  read_ffn(config, out);
  out.max_position_embeddings = out.context_length = config.size("max_seq_len", 2048);

  const std::string norm = config.text("norm_type").value_or("low_precision_layernorm");
  if (norm != "low_precision_layernorm" && norm != "layernorm") {
    config.unsupported("norm_type", "is " + quote_for_message(norm) +
                                        "; low_precision_layernorm and layernorm are supported");
  }
  out.norm_eps = config.positive(config.has("norm_eps") ? "norm_eps" : "layer_norm_epsilon", 1e-5);
  refuse_presence(config, "block_overrides");
  refuse_presence(config, "final_logit_softcapping");

  if (const auto* scale = config.find("logit_scale"); scale != nullptr && scale->is_string()) {
    if (scale->get_string() != "inv_sqrt_d_model") {
      config.wrong("logit_scale", *scale, "a number or \"inv_sqrt_d_model\"");
    }
    out.logit_scale = 1.0 / std::sqrt(static_cast<double>(out.hidden_size));
  } else {
    out.logit_scale = config.number("logit_scale");
  }
  out.tie_word_embeddings = config.boolean("tie_word_embeddings", true);

  if (attention) read_attention(*attention, out);
  // With ALiBi, learned positions are off whatever learned_pos_emb says. What happens when "alibi"
  // is absent differs between the sources: then the tensors decide.
  out.alibi_is_assumed = !attention || !attention->has("alibi");
  if (out.alibi_is_assumed || attention->boolean("alibi", true)) {
    out.alibi_bias_max = attention ? attention->positive("alibi_bias_max", 8.0) : 8.0;
  } else {
    out.learned_positions = config.boolean("learned_pos_emb", true);
  }
}

void read_gguf_mpt(const GgufFields& fields, ModelConfig& out) {
  out.norm_eps = fields.positive("attention.layer_norm_epsilon");
  out.hidden_act = HiddenActivation::kGelu;
  if (const double clip = fields.number("attention.clamp_kqv").value_or(0.0); clip != 0.0) {
    out.clip_qkv = fields.positive("attention.clamp_kqv");
  }
  if (const double bias = fields.number("attention.max_alibi_bias").value_or(0.0); bias != 0.0) {
    out.alibi_bias_max = fields.positive("attention.max_alibi_bias");
  } else {
    out.learned_positions = true;
  }
  out.qk_ln = fields.has_tensor("blk.0.attn_q_norm.weight");
  if (fields.has_tensor("blk.0.ffn.act.scales")) {
    throw Error(ErrorKind::kUnsupportedModel,
                fields.file().name() +
                    ": tensor 'blk.0.ffn.act.scales': scaled activations are not supported");
  }
}

}  // namespace tessera
