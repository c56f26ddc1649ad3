// GTE v1.5 (Alibaba NewModel).
#include "base/strings.h"
#include "models/config_families.h"

namespace tessera {
namespace {

// The fixed NTK scaling of this family, which read_rope does not know.
void read_ntk(const Fields& config, ModelConfig& out) {
  out.rope_theta = config.positive("rope_theta", 10000.0);
  const std::optional<Fields> scaling = config.object("rope_scaling");
  if (!scaling) return;
  const char* type_key = scaling->has("rope_type") ? "rope_type" : "type";
  const std::string type = scaling->text(type_key).value_or("default");
  if (type == "default") return;
  if (type != "ntk") {
    scaling->unsupported(type_key, "is " + quote_for_message(type) + "; ntk is supported");
  }
  if (!scaling->has("factor")) scaling->fail("factor", "is missing");
  const double factor = scaling->positive("factor", 1.0);
  if (factor > 1e6) scaling->wrong("factor", *scaling->find("factor"), "at most 1000000");
  if (factor <= 1.0) return;  // the original scales only sequences longer than the table
  out.rope_scaling.type = RopeType::kNtk;
  out.rope_scaling.factor = factor;
  out.rope_scaling.mixed_b = scaling->number("mixed_b");
}

}  // namespace

void read_gte_config(const Fields& config, ModelConfig& out) {
  check_quantisation(config);
  out.vocab_size = config.size("vocab_size", 30528);
  read_attention_shape(config, out);
  if (out.head_dim * out.num_attention_heads != out.hidden_size) {
    config.fail("head_dim", "is " + std::to_string(out.head_dim) +
                                ", wanted hidden_size divided by num_attention_heads");
  }
  if (out.head_dim % 2 != 0) {
    config.fail("num_attention_heads", "makes the head dimension " + std::to_string(out.head_dim) +
                                           "; rope needs an even number");
  }
  out.num_key_value_heads = out.num_attention_heads;
  out.intermediate_size = config.size("intermediate_size", 3072);
  out.num_hidden_layers = config.size("num_hidden_layers", 12, kMaxLayers);
  out.hidden_act = parse_activation(config, "gelu");
  if (out.hidden_act != HiddenActivation::kGelu) {
    config.wrong("hidden_act", *config.find("hidden_act"), "\"gelu\"");
  }
  const std::string norm = config.text("layer_norm_type").value_or("layer_norm");
  if (norm != "layer_norm" && norm != "rms_norm") {
    config.unsupported("layer_norm_type",
                       "is " + quote_for_message(norm) + "; layer_norm and rms_norm are supported");
  }
  out.rms_norm = norm == "rms_norm";
  out.norm_eps = config.positive("layer_norm_eps", 1e-12);
  out.attention_bias = true;
  out.max_position_embeddings = config.size("max_position_embeddings", 8192);
  out.type_vocab_size = config.size("type_vocab_size", 1, kMaxDimension, 0);
  const std::string position = config.text("position_embedding_type").value_or("rope");
  if (position != "rope") {
    config.unsupported("position_embedding_type",
                       "is " + quote_for_message(position) + "; rope is supported");
  }
  for (const char* key : {"logn_attention_scale", "logn_attention_clip1"}) {
    if (config.boolean(key, false)) config.unsupported(key, "is true, wanted false");
  }
  read_ntk(config, out);
}

}  // namespace tessera
