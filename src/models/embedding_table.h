// The input embeddings of a decoder: rows of a tensor in the mapped file, or of the packed output
// projection where the two are tied, so that tied weights are in memory once.
#pragma once

#include <cstdint>
#include <span>

#include "compute/linear.h"
#include "compute/parallel.h"
#include "compute/tensor.h"

namespace tessera {

// Refers to a tensor or Linear that must outlive it. Safe from any thread.
class EmbeddingTable {
 public:
  EmbeddingTable() = default;
  explicit EmbeddingTable(const RawTensor& rows) : stored_(&rows) {}  // [vocab, hidden]
  explicit EmbeddingTable(const Linear& tied_head) : head_(&tied_head) {}

  // x[t] = row token_ids[t]; x is resized to [tokens, hidden].
  // Throws Error(kBadTokenId) for an id outside of the table.
  void embed(std::span<const std::int32_t> token_ids, Tensor& x, ThreadPool& pool) const;

  // What the table adds to the packed weights: 0 when tied.
  std::int64_t bytes() const { return stored_ == nullptr ? 0 : stored_->bytes(); }

 private:
  const RawTensor* stored_ = nullptr;
  const Linear* head_ = nullptr;
};

}  // namespace tessera
