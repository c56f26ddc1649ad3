// Pieces of config.json that several families have.
#include <algorithm>

#include "base/strings.h"
#include "models/config_families.h"
#include "models/quantization.h"

namespace tessera {

HiddenActivation parse_activation(const Fields& config, std::string_view otherwise) {
  const std::string name = config.text("hidden_act").value_or(std::string(otherwise));
  if (name == "silu" || name == "swish") return HiddenActivation::kSilu;
  if (name == "gelu") return HiddenActivation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") {
    return HiddenActivation::kGeluTanh;
  }
  config.unsupported("hidden_act",
                     "is " + quote_for_message(name) +
                         "; silu, gelu, gelu_new and gelu_pytorch_tanh are supported");
}

void check_quantisation(const Fields& config) {
  TensorMap none;
  apply_quantization(config, none);
}

void read_attention_shape(const Fields& config, ModelConfig& out) {
  out.hidden_size = config.size("hidden_size");
  out.num_attention_heads = config.size("num_attention_heads");
  const bool has_head_dim = config.has("head_dim");
  if (!has_head_dim && out.hidden_size % out.num_attention_heads != 0) {
    config.fail("hidden_size", "is " + std::to_string(out.hidden_size) +
                                   ", not a multiple of num_attention_heads " +
                                   std::to_string(out.num_attention_heads));
  }
  out.head_dim = config.size("head_dim", std::max(1, out.hidden_size / out.num_attention_heads));
}

void check_head_groups(const Fields& config, std::string_view key, std::string_view kv_key,
                       const ModelConfig& out) {
  if (out.num_attention_heads % out.num_key_value_heads != 0) {
    config.fail(key, "is " + std::to_string(out.num_attention_heads) + ", not a multiple of " +
                         std::string(kv_key) + " " + std::to_string(out.num_key_value_heads));
  }
}

void read_gguf_experts(const GgufFields& fields, ModelConfig& out) {
  out.num_local_experts = fields.size("expert_count", std::nullopt, kMaxExperts);
  out.num_experts_per_tok = fields.size("expert_used_count", std::nullopt, out.num_local_experts);
  out.moe_normalize_expert_weights = 1.0;  // what these architectures do; there is no key for it
  // Of other families; 0 and 1 change nothing.
  const double scale = fields.number("expert_weights_scale").value_or(1.0);
  if (scale != 0.0 && scale != 1.0) {
    fields.unsupported("expert_weights_scale", "is " + std::to_string(scale) + ", wanted 1");
  }
}

}  // namespace tessera
