// What the engine asks of a model: one forward pass over a packed batch.
//
// A model owns its packed weights and scratch memory, is loaded once and then used by one thread
// (the engine thread) at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compute/attention.h"
#include "compute/linear.h"
#include "compute/parallel.h"
#include "compute/tensor.h"

namespace tessera {

// Key/value memory in blocks of `block_size` tokens (a multiple of 16), layer after layer; a layer
// is laid out as KvLayer says. slot = block * block_size + offset. Memory is reserved at
// construction and touched when used. Owned and used by one thread at a time.
class KvCache {
 public:
  // Throws Error(kOutOfRange) naming the argument, or Error(kIo) when the memory cannot be
  // reserved.
  KvCache(int layers, int kv_heads, int head_dim, int blocks, int block_size, KvType type);
  ~KvCache();
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  int layers() const { return layers_; }
  int kv_heads() const { return first_.kv_heads; }
  int head_dim() const { return first_.head_dim; }
  int blocks() const { return blocks_; }
  int block_size() const { return first_.block_size; }
  KvType type() const { return first_.type; }
  std::int64_t bytes() const { return layer_bytes() * layers_; }

  KvLayer layer(int index) const {
    KvLayer layer = first_;
    layer.data += index * layer_bytes();
    return layer;
  }

  // Copies one block, all layers (copy on write of a shared block).
  void copy_block(int from, int to);

  static std::int64_t bytes_per_token(int layers, int kv_heads, int head_dim, KvType type);

 private:
  std::int64_t layer_bytes() const { return first_.block_bytes() * blocks_; }

  KvLayer first_;
  int layers_, blocks_;
};

// Sequences packed one after the other; the only layout there is. Spans outlive the call.
// Tokens of sequence s are [cu_seqlens[s], cu_seqlens[s + 1]); their keys and values go to
// slot_mapping, and each attends to positions 0..its own of its sequence, found by block_table.
struct Batch {
  std::span<const std::int32_t> token_ids;     // [tokens]
  std::span<const std::int32_t> positions;     // [tokens] absolute position in the sequence
  std::span<const std::int32_t> cu_seqlens;    // [sequences + 1]
  std::span<const std::int64_t> slot_mapping;  // [tokens]; empty for encoders
  std::span<const std::span<const std::int32_t>> block_tables;  // [sequences]; empty for encoders
  std::span<const std::int32_t> logit_rows;  // rows of the batch whose logits are wanted, ascending
  // [sequences] tokens of the whole prompt; read by models of ModelInfo::dynamic_rope_from only,
  // and may be empty when no prompt is longer than that.
  std::span<const std::int32_t> prompt_lengths;

  int tokens() const { return static_cast<int>(token_ids.size()); }
  int sequences() const { return static_cast<int>(cu_seqlens.size()) - 1; }
};

// Facts that do not need the weights.
struct ModelInfo {
  std::string architecture;  // "llama", "bert"
  int vocab_size = 0;
  int hidden_size = 0;
  int num_hidden_layers = 0;
  int num_kv_heads = 0;  // 0 for encoders
  int head_dim = 0;
  int context_length = 0;
  std::int64_t parameters = 0;
  std::int64_t weight_bytes = 0;  // resident, run-time format
  bool is_embedding = false;
  // Above 0: keys of a prompt longer than this depend on its length (dynamic rope), so its cached
  // blocks serve only prompts of the same length.
  int dynamic_rope_from = 0;
  std::vector<std::int32_t> eos_token_ids;  // union of config and generation_config / GGUF
};

struct LoadOptions {
  WeightFormat weight_format = WeightFormat::kStored;
  int max_sequence_length = 0;  // 0: the model's own; encoders truncate position tables to it
};

// Causal language model.
class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  virtual const ModelInfo& info() const = 0;
  // Writes keys and values of all batch tokens to `kv`, and logits: [logit_rows, vocab_size].
  virtual void forward(const Batch& batch, KvCache& kv, Tensor& logits) = 0;
};

// Encoder that turns each sequence of the batch into one vector, pooled and normalised as the model
// folder says (modules.json), unless `normalize` overrides it.
class EmbeddingModel {
 public:
  virtual ~EmbeddingModel() = default;
  virtual const ModelInfo& info() const = 0;
  virtual bool normalizes() const = 0;
  // embeddings: [sequences, hidden_size], NOT normalised; the caller normalises on request.
  virtual void forward(const Batch& batch, Tensor& embeddings) = 0;
};

// Exactly one of the two is set.
struct LoadedModel {
  std::unique_ptr<LanguageModel> language;
  std::unique_ptr<EmbeddingModel> embedding;
};

// `path`: a Hugging Face folder (config.json, *.safetensors) or a .gguf file. The pool must outlive
// the model. Throws Error(kBadModelFile | kUnsupportedModel | kIo) naming file, key and value.
LoadedModel load_model(const std::filesystem::path& path, const LoadOptions& options,
                       ThreadPool& pool);

// Reads headers only.
ModelInfo inspect_model(const std::filesystem::path& path);

}  // namespace tessera
