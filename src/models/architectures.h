// What the architecture files share, and the function by which registry.cpp loads each of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compute/attention.h"
#include "compute/rotary.h"
#include "models/checkpoint.h"
#include "models/config.h"
#include "models/model.h"

namespace tessera {

// One per architecture file. The checkpoint is handed over: embedding rows are read from the mapped
// file for as long as the model lives.
std::unique_ptr<LanguageModel> load_llama(Checkpoint checkpoint, const ModelConfig& config,
                                          const LoadOptions& options, ThreadPool& pool);
std::unique_ptr<LanguageModel> load_mixtral(Checkpoint checkpoint, const ModelConfig& config,
                                            const LoadOptions& options, ThreadPool& pool);
std::unique_ptr<LanguageModel> load_dbrx(Checkpoint checkpoint, const ModelConfig& config,
                                         const LoadOptions& options, ThreadPool& pool);
std::unique_ptr<LanguageModel> load_mpt(Checkpoint checkpoint, const ModelConfig& config,
                                        const LoadOptions& options, ThreadPool& pool);
std::unique_ptr<EmbeddingModel> load_gte(Checkpoint checkpoint, const ModelConfig& config,
                                         const LoadOptions& options, ThreadPool& pool);
std::unique_ptr<EmbeddingModel> load_bert(Checkpoint checkpoint, const ModelConfig& config,
                                          const LoadOptions& options, ThreadPool& pool);

// The facts of config and file headers; weight_bytes is the size in the file.
ModelInfo describe(const Checkpoint& checkpoint, const ModelConfig& config);

AttentionShape attention_shape(const ModelConfig& config);

// The whole vector as f32. Throws Error(kBadModelFile) when absent or of another length.
std::vector<float> read_vector(const Checkpoint& checkpoint, const std::string& name,
                               std::int64_t length);
// Rows [first, first + count) of a matrix, and matrix `index` of a stack [matrices, rows, cols].
// Throws Error(kUnsupportedModel) when the tensor is held in pieces (RawTensor::source).
RawTensor rows_of(const RawTensor& matrix, std::int64_t first, std::int64_t count);
RawTensor matrix_of(const RawTensor& stack, std::int64_t index);

// The vectors one after the other.
std::vector<float> concatenate(std::initializer_list<std::vector<float>> vectors);

// Throws Error(kBadTokenId) for an id outside of [0, vocab).
void check_token_ids(std::span<const std::int32_t> token_ids, std::int64_t vocab);

// x[t] = row token_ids[t] of `table`: [vocab, hidden]; x is resized to [tokens, hidden].
// Throws Error(kBadTokenId) for an id outside of the table.
void embed(std::span<const std::int32_t> token_ids, const RawTensor& table, Tensor& x,
           ThreadPool& pool);

// Encoders: throws Error(kBadValue) for a sequence without tokens, Error(kContextLengthExceeded)
// for a position outside of [0, positions).
void check_encoder_batch(const Batch& batch, std::int64_t positions);
// One row per sequence of x: [tokens, hidden].
void pool_sequences(Pooling pooling, const Tensor& x, std::span<const std::int32_t> cu_seqlens,
                    Tensor& embeddings);

// y[i] = x[rows[i]]; y is resized to [rows, cols].
void gather_rows(const Tensor& x, std::span<const std::int32_t> rows, Tensor& y);

}  // namespace tessera
