// The tensor names of GGUF files, as those of the checkpoints they were made from.
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "models/checkpoint.h"

namespace tessera {
namespace {

struct NamePair {
  std::string_view gguf, huggingface;
};

constexpr NamePair kLlamaNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};
// Mixtral's files are "llama" files. Their stacked experts have no counterpart in the checkpoint.
constexpr NamePair kLlamaLayerNames[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"ffn_gate_inp", "block_sparse_moe.gate"},
    {"ffn_gate_exps", "block_sparse_moe.experts.w1"},
    {"ffn_up_exps", "block_sparse_moe.experts.w3"},
    {"ffn_down_exps", "block_sparse_moe.experts.w2"},
};
constexpr NamePair kTransformerNames[] = {
    // DBRX and MPT
    {"token_embd", "transformer.wte"},
    {"position_embd", "transformer.wpe"},
    {"output_norm", "transformer.norm_f"},
    {"output", "lm_head"},
};
constexpr NamePair kDbrxLayerNames[] = {
    {"attn_norm", "norm_attn_norm.norm_1"},
    {"attn_qkv", "norm_attn_norm.attn.Wqkv"},
    {"attn_output", "norm_attn_norm.attn.out_proj"},
    {"attn_output_norm", "norm_attn_norm.norm_2"},
    {"ffn_gate_inp", "ffn.router.layer"},
    {"ffn_gate_exps", "ffn.experts.mlp.w1"},
    {"ffn_up_exps", "ffn.experts.mlp.v1"},
    {"ffn_down_exps", "ffn.experts.mlp.w2"},
};
constexpr NamePair kMptLayerNames[] = {
    {"attn_norm", "norm_1"},          {"ffn_norm", "norm_2"},        {"attn_qkv", "attn.Wqkv"},
    {"attn_output", "attn.out_proj"}, {"attn_q_norm", "attn.q_ln"},  {"attn_k_norm", "attn.k_ln"},
    {"ffn_up", "ffn.up_proj"},        {"ffn_down", "ffn.down_proj"},
};
constexpr NamePair kBertNames[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"position_embd", "embeddings.position_embeddings"},
    {"token_types", "embeddings.token_type_embeddings"},
    {"token_embd_norm", "embeddings.LayerNorm"},
};
constexpr NamePair kBertLayerNames[] = {
    {"attn_q", "attention.self.query"},
    {"attn_k", "attention.self.key"},
    {"attn_v", "attention.self.value"},
    {"attn_output", "attention.output.dense"},
    {"attn_output_norm", "attention.output.LayerNorm"},
    {"ffn_up", "intermediate.dense"},
    {"ffn_down", "output.dense"},
    {"layer_output_norm", "output.LayerNorm"},
};

struct Family {
  std::string_view architecture, layer_prefix;
  std::span<const NamePair> names, layer_names;
};
constexpr Family kFamilies[] = {
    {"llama", "model.layers.", kLlamaNames, kLlamaLayerNames},
    {"dbrx", "transformer.blocks.", kTransformerNames, kDbrxLayerNames},
    {"mpt", "transformer.blocks.", kTransformerNames, kMptLayerNames},
    {"bert", "encoder.layer.", kBertNames, kBertLayerNames},
};

std::string_view translate(std::span<const NamePair> names, std::string_view gguf) {
  for (const NamePair& pair : names) {
    if (pair.gguf == gguf) return pair.huggingface;
  }
  return {};
}

// Mixtral files of early 2024 hold each expert by itself: "ffn_gate.3" is expert 3's w1.
std::string split_expert(std::string_view block) {
  constexpr NamePair kParts[] = {{"ffn_gate", ".w1"}, {"ffn_up", ".w3"}, {"ffn_down", ".w2"}};
  const std::size_t dot = block.find('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view expert = block.substr(dot + 1),
                         part = translate(kParts, block.substr(0, dot));
  if (part.empty() || expert.empty() ||
      expert.find_first_not_of("0123456789") != std::string_view::npos) {
    return {};
  }
  return "block_sparse_moe.experts." + std::string(expert) + std::string(part);
}

}  // namespace

std::string huggingface_tensor_name(std::string_view architecture, std::string_view gguf_name) {
  const std::string unchanged(gguf_name);
  const Family* family = nullptr;
  for (const Family& each : kFamilies) {
    if (each.architecture == architecture) family = &each;
  }
  const std::size_t dot = gguf_name.rfind('.');
  if (family == nullptr || dot == std::string_view::npos) return unchanged;
  const std::string_view stem = gguf_name.substr(0, dot), suffix = gguf_name.substr(dot);
  if (!stem.starts_with("blk.")) {
    const std::string_view name = translate(family->names, stem);
    return name.empty() ? unchanged : std::string(name) + std::string(suffix);
  }
  const std::size_t end = stem.find('.', 4);
  if (end == std::string_view::npos) return unchanged;
  const std::string_view layer = stem.substr(4, end - 4), block = stem.substr(end + 1);
  std::string name(translate(family->layer_names, block));
  if (name.empty() && architecture == "llama") name = split_expert(block);
  if (name.empty()) return unchanged;
  return std::string(family->layer_prefix) + std::string(layer) + "." + name + std::string(suffix);
}

}  // namespace tessera
