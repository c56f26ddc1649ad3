// Rotary positions, as config.json and GGUF metadata write them down.
#include <algorithm>
#include <cmath>

#include "base/strings.h"
#include "models/config_families.h"

namespace tessera {

void read_rope(const Fields& config, double default_theta, ModelConfig& out) {
  const std::optional<Fields> parameters = config.object("rope_parameters");
  const std::optional<Fields> scaling = parameters ? parameters : config.object("rope_scaling");
  const Fields& theta = parameters && parameters->has("rope_theta") ? *parameters : config;
  out.rope_theta = theta.positive("rope_theta", default_theta);

  for (const Fields* place : {&config, parameters ? &*parameters : nullptr}) {
    if (place == nullptr) continue;
    const double partial = place->number("partial_rotary_factor").value_or(1.0);
    if (partial != 1.0) {
      place->unsupported("partial_rotary_factor", "is " + std::to_string(partial) + ", wanted 1");
    }
  }
  out.context_length = out.max_position_embeddings;
  if (!scaling) return;
  for (const auto& [key, value] : scaling->raw()) {
    if (value.is_object()) scaling->unsupported(key, "is an object: rope per layer type");
  }

  RopeScaling& rope = out.rope_scaling;
  const char* type_key = scaling->has("rope_type") ? "rope_type" : "type";
  const std::string type = scaling->text(type_key).value_or("default");
  const int original_top =
      config.has("original_max_position_embeddings")
          ? config.size("original_max_position_embeddings", std::nullopt, kMaxDimension)
          : 0;
  const int original_inner = scaling->size("original_max_position_embeddings", 0, kMaxDimension, 0);
  rope.original_max_position_embeddings =
      original_top != 0 ? original_top
                        : (original_inner != 0 ? original_inner : out.max_position_embeddings);
  const auto factor = [&] {
    if (!scaling->has("factor")) scaling->fail("factor", "is missing");
    const double value = scaling->positive("factor", 1.0);
    if (value > 1e6) scaling->wrong("factor", *scaling->find("factor"), "at most 1000000");
    return value;
  };
  const auto stretched = [&](int base) {
    return static_cast<int>(std::min(base * rope.factor, double{kMaxDimension}));
  };
  if (type == "default") {
    return;
  } else if (type == "linear" || type == "dynamic") {
    rope.type = type == "linear" ? RopeType::kLinear : RopeType::kDynamic;
    rope.factor = factor();
    out.context_length = stretched(out.max_position_embeddings);
  } else if (type == "llama3") {
    rope.type = RopeType::kLlama3;
    rope.factor = factor();
    rope.low_freq_factor = scaling->positive("low_freq_factor", 1.0);
    rope.high_freq_factor = scaling->positive("high_freq_factor", 4.0);
    if (rope.high_freq_factor <= rope.low_freq_factor) {
      scaling->fail("high_freq_factor", "must be above low_freq_factor");
    }
  } else if (type == "yarn") {
    rope.type = RopeType::kYarn;
    rope.factor = factor();
    rope.beta_fast = scaling->positive("beta_fast", 32.0);
    rope.beta_slow = scaling->positive("beta_slow", 1.0);
    rope.attention_factor = scaling->number("attention_factor");
    rope.mscale = scaling->number("mscale").value_or(0.0);
    rope.mscale_all_dim = scaling->number("mscale_all_dim").value_or(0.0);
    rope.truncate = scaling->boolean("truncate", true);
    if (original_top != 0 || original_inner != 0) {
      out.context_length = stretched(rope.original_max_position_embeddings);
    }
  } else {
    scaling->unsupported(type_key, "is " + quote_for_message(type) +
                                       "; default, linear, dynamic, llama3 and yarn are supported");
  }
}

void read_gguf_rope(const GgufFields& fields, ModelConfig& out) {
  out.rope_theta = fields.positive("rope.freq_base", 10000.0);
  const int dimensions = fields.size("rope.dimension_count", out.head_dim);
  if (dimensions != out.head_dim) {
    fields.unsupported("rope.dimension_count", "is " + std::to_string(dimensions) +
                                                   ", wanted the head dimension " +
                                                   std::to_string(out.head_dim));
  }
  // Llama 3 scaling comes as this tensor, and then nothing else applies.
  if (fields.has_tensor("rope_freqs.weight")) return;
  const std::string type(fields.file().text(fields.key("rope.scaling.type")).value_or("linear"));
  RopeScaling& rope = out.rope_scaling;
  const char* factor_key =
      fields.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  const double factor = fields.number(factor_key).value_or(0.0);
  if (type == "none" || (type == "linear" && (factor == 0.0 || factor == 1.0))) return;
  if (type != "linear" && type != "yarn") {
    fields.unsupported("rope.scaling.type",
                       "is " + quote_for_message(type) + "; none, linear and yarn are supported");
  }
  rope.factor = fields.positive(factor_key);
  rope.original_max_position_embeddings =
      fields.size("rope.scaling.original_context_length", out.max_position_embeddings);
  if (type == "linear") {
    rope.type = RopeType::kLinear;
    return;
  }
  rope.type = RopeType::kYarn;
  rope.beta_fast = fields.positive("rope.scaling.yarn_beta_fast", 32.0);
  rope.beta_slow = fields.positive("rope.scaling.yarn_beta_slow", 1.0);
  if (fields.has("rope.scaling.attn_factor")) {
    // llama.cpp multiplies this with the factor that yarn derives from the scale.
    rope.attention_factor = fields.positive("rope.scaling.attn_factor") *
                            (rope.factor <= 1.0 ? 1.0 : 0.1 * std::log(rope.factor) + 1.0);
  }
}

}  // namespace tessera
