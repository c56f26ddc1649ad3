#include "models/architectures.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "compute/pooling.h"
#include "compute/row_chunks.h"

namespace tessera {

ModelInfo describe(const Checkpoint& checkpoint, const ModelConfig& config) {
  ModelInfo info;
  info.architecture = architecture_name(config.architecture);
  info.vocab_size = config.vocab_size;
  info.hidden_size = config.hidden_size;
  info.num_hidden_layers = config.num_hidden_layers;
  info.num_kv_heads = config.is_encoder() ? 0 : config.num_key_value_heads;
  info.head_dim = config.head_dim;
  info.context_length = config.is_encoder() && config.max_seq_length > 0 ? config.max_seq_length
                                                                         : config.context_length;
  info.parameters = checkpoint.parameters();
  info.weight_bytes = checkpoint.bytes();
  info.is_embedding = config.is_encoder();
  info.eos_token_ids = config.eos_token_ids;
  if (config.rope_scaling.type == RopeType::kDynamic) {
    info.dynamic_rope_from = config.max_position_embeddings;
  }
  return info;
}

AttentionShape attention_shape(const ModelConfig& config) {
  AttentionShape shape;
  shape.heads = config.num_attention_heads;
  shape.kv_heads = config.num_key_value_heads;
  shape.head_dim = config.head_dim;
  shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim)));
  shape.sliding_window = config.sliding_window.value_or(0);
  return shape;
}

std::vector<float> read_vector(const Checkpoint& checkpoint, const std::string& name,
                               std::int64_t length) {
  const RawTensor& tensor = checkpoint.get(name, {length});
  std::vector<float> values(static_cast<std::size_t>(length));
  dequantize(tensor.dtype, tensor.data, length, values.data());
  return values;
}

namespace {

void check_whole(const RawTensor& tensor) {
  if (tensor.source == nullptr) return;
  throw Error(ErrorKind::kUnsupportedModel,
              "A stack of experts is quantised in pieces, which is not supported.");
}

}  // namespace

RawTensor rows_of(const RawTensor& matrix, std::int64_t first, std::int64_t count) {
  check_whole(matrix);
  RawTensor rows = matrix;
  rows.shape = {count, matrix.row_elements()};
  rows.data = matrix.row(first);
  return rows;
}

RawTensor matrix_of(const RawTensor& stack, std::int64_t index) {
  check_whole(stack);
  RawTensor matrix = stack;
  matrix.shape.erase(matrix.shape.begin());
  matrix.data = stack.row(index);
  return matrix;
}

std::vector<float> concatenate(std::initializer_list<std::vector<float>> vectors) {
  std::vector<float> all;
  for (const std::vector<float>& vector : vectors)
    all.insert(all.end(), vector.begin(), vector.end());
  return all;
}

void check_token_ids(std::span<const std::int32_t> token_ids, std::int64_t vocab) {
  for (const std::int32_t id : token_ids) {
    if (id < 0 || id >= vocab) {
      throw Error(ErrorKind::kBadTokenId, "Token id " + std::to_string(id) +
                                              " is outside of the vocabulary, wanted 0 to " +
                                              std::to_string(vocab - 1));
    }
  }
}

void embed(std::span<const std::int32_t> token_ids, const RawTensor& table, Tensor& x,
           ThreadPool& pool) {
  check_token_ids(token_ids, table.rows());
  x.resize(static_cast<std::int64_t>(token_ids.size()), table.row_elements());
  for_row_ranges(x.rows(), x.cols(), pool, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      dequantize_row(table, token_ids[static_cast<std::size_t>(t)], x.row(t));
    }
  });
}

void check_encoder_batch(const Batch& batch, std::int64_t positions) {
  for (int s = 0; s < batch.sequences(); ++s) {
    if (batch.cu_seqlens[s] == batch.cu_seqlens[s + 1]) {
      throw Error(ErrorKind::kBadValue, "Input " + std::to_string(s) + " has no tokens.");
    }
  }
  for (const std::int32_t position : batch.positions) {
    if (position < 0 || position >= positions) {
      throw Error(ErrorKind::kContextLengthExceeded,
                  "The input has more than " + std::to_string(positions) +
                      " tokens, the most that this model takes.");
    }
  }
}

void pool_sequences(Pooling pooling, const Tensor& x, std::span<const std::int32_t> cu_seqlens,
                    Tensor& embeddings) {
  switch (pooling) {
    case Pooling::kMean:
      pool_mean(x, cu_seqlens, embeddings);
      break;
    case Pooling::kLast:
      pool_last(x, cu_seqlens, embeddings);
      break;
    case Pooling::kCls:
    case Pooling::kNone:
      pool_first(x, cu_seqlens, embeddings);
      break;
  }
}

void gather_rows(const Tensor& x, std::span<const std::int32_t> rows, Tensor& y) {
  y.resize(static_cast<std::int64_t>(rows.size()), x.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(x.row(rows[i]), x.cols(), y.row(static_cast<std::int64_t>(i)));
  }
}

}  // namespace tessera
