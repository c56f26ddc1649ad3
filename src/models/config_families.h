// One reader per family and source, and the pieces they share. Each fills `out` from a description
// whose architecture is known already; what the model cannot run with is refused.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "models/config_fields.h"
#include "models/config_gguf.h"

namespace tessera {

// config.json
void read_llama_config(const Fields& config, ModelConfig& out);  // and Mistral, Mixtral
void read_dbrx_config(const Fields& config, ModelConfig& out);
void read_mpt_config(const Fields& config, ModelConfig& out);
void read_bert_config(const Fields& config, ModelConfig& out);
void read_gte_config(const Fields& config, ModelConfig& out);

// GGUF metadata. Sizes of layers, heads and widths were read before, they are common to all.
void read_gguf_llama(const GgufFields& fields, ModelConfig& out);  // and Mistral, Mixtral
void read_gguf_dbrx(const GgufFields& fields, ModelConfig& out);
void read_gguf_mpt(const GgufFields& fields, ModelConfig& out);
void read_gguf_bert(const GgufFields& fields, ModelConfig& out);

ModelConfig read_gguf_config(const Gguf& gguf);

// Pieces of config.json.
HiddenActivation parse_activation(const Fields& config, std::string_view otherwise);
void check_quantisation(const Fields& config);
// hidden_size, num_attention_heads, head_dim
void read_attention_shape(const Fields& config, ModelConfig& out);
// The heads of queries must be a multiple of those of keys; `key` and `kv_key` name them in errors.
void check_head_groups(const Fields& config, std::string_view key, std::string_view kv_key,
                       const ModelConfig& out);
// Old form: rope_theta and rope_scaling at top level. New form (transformers 5): rope_parameters.
// Sets context_length, too, which follows from max_position_embeddings and the scaling.
void read_rope(const Fields& config, double default_theta, ModelConfig& out);
// expert_count, expert_used_count and what weighs the chosen experts.
void read_gguf_experts(const GgufFields& fields, ModelConfig& out);
void read_gguf_rope(const GgufFields& fields, ModelConfig& out);

// sentence-transformers: modules.json decides pooling and normalisation, and nothing else does.
void read_modules(const std::filesystem::path& folder, ModelConfig& out);
void read_max_seq_length(const std::filesystem::path& folder, ModelConfig& out);

void sort_unique(std::vector<std::int32_t>& ids);

}  // namespace tessera
