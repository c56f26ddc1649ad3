// One normalised description of a model, from config.json and its neighbours or from GGUF metadata.
//
// Whatever is optional in a source has its default filled in here; whatever a model cannot run with
// was refused with an Error(kBadModelFile | kUnsupportedModel) naming file, key and value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/rotary.h"

namespace tessera {

class Checkpoint;

enum class Architecture : std::uint8_t { kLlama, kMistral, kMixtral, kDbrx, kMpt, kBert, kGte };
std::string_view architecture_name(Architecture architecture);  // "llama", "bert", …

// kGelu is the exact form (erf), kGeluTanh its approximation.
enum class HiddenActivation : std::uint8_t { kSilu, kGelu, kGeluTanh };

enum class Pooling : std::uint8_t { kNone, kMean, kCls, kLast };

struct ModelConfig {
  Architecture architecture = Architecture::kLlama;

  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_hidden_layers = 0;
  int num_attention_heads = 0;
  int num_key_value_heads = 0;  // encoders: num_attention_heads
  int head_dim = 0;
  HiddenActivation hidden_act = HiddenActivation::kSilu;
  double norm_eps = 1e-6;  // rms_norm_eps or layer_norm_eps
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tie_word_embeddings = false;  // true: the head is the embedding matrix
  std::optional<int> sliding_window;

  int max_position_embeddings = 0;
  int context_length = 0;  // longest sequence that may be served, scaling included

  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  bool rope_interleaved = false;  // Q and K rows are permuted for pairs (2n, 2n + 1): GGUF llama

  // Experts; 0 for dense models.
  int num_local_experts = 0;
  int num_experts_per_tok = 0;
  // The chosen weights are divided by their p-norm (1: their sum); absent: not at all.
  std::optional<double> moe_normalize_expert_weights;

  std::optional<double> clip_qkv;        // dbrx, mpt
  std::optional<double> alibi_bias_max;  // mpt; absent: no ALiBi
  bool alibi_is_assumed = false;         // mpt: nobody said so; learned positions in the file win
  bool learned_positions = false;        // mpt: wanted, ALiBi is off
  std::optional<double> softmax_scale;   // mpt; absent: 1 / sqrt(head_dim)
  std::optional<double> logit_scale;     // mpt
  bool qk_ln = false;                    // mpt: LayerNorm over all of Q and all of K

  // Encoders.
  int type_vocab_size = 0;
  bool rms_norm = false;  // gte: after attention and MLP; else LayerNorm
  Pooling pooling = Pooling::kNone;
  bool normalize = false;  // the model's own pipeline ends with L2 normalisation
  int max_seq_length = 0;  // what the tokenizer truncates to; 0 for language models

  std::optional<std::int32_t> bos_token_id;
  std::vector<std::int32_t> eos_token_ids;  // config and generation_config (or GGUF), ascending

  bool is_encoder() const {
    return architecture == Architecture::kBert || architecture == Architecture::kGte;
  }
};

ModelConfig read_config(const Checkpoint& checkpoint);

// config.json of a folder without its weights: what the catalogue asks before it loads anything.
// `path`: a folder or a .gguf file.
ModelConfig read_config(const std::filesystem::path& path);

}  // namespace tessera
