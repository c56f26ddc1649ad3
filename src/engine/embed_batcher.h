// Packs the inputs of embedding requests into batches for an encoder and puts the results back.
//
// Requests take turns, so that a short one does not wait for a long one; within a request inputs go
// by length, the shortest first. Engine thread only.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "compute/tensor.h"

namespace tessera {

class EmbedBatcher {
 public:
  // More tokens per batch gain nothing once the matrix products are compute-bound
  // (engine-performance D.4).
  static constexpr int kBatchTokens = 1024;

  explicit EmbedBatcher(int batch_tokens = kBatchTokens) : batch_tokens_(batch_tokens) {}

  void add(std::uint64_t id, std::vector<std::vector<std::int32_t>> inputs);
  void remove(std::uint64_t id);
  bool empty() const { return jobs_.empty(); }

  // The next batch: at least one input, and further ones while they fit the budget. The spans stay
  // valid until finish() or remove() of their request.
  std::vector<std::span<const std::int32_t>> next();

  // The requests of the batch of next(), each once; the request of one of its inputs.
  std::vector<std::uint64_t> in_batch() const;
  std::uint64_t request_of(int input) const { return batch_[input].id; }

  struct Done {
    std::uint64_t id;
    std::vector<std::vector<float>> embeddings;  // in the order of the inputs
  };
  // embeddings: [inputs of next(), hidden]. Returns the requests that are complete now.
  std::vector<Done> finish(const Tensor& embeddings);

 private:
  struct Job {
    std::uint64_t id;
    std::vector<std::vector<std::int32_t>> inputs;
    std::vector<int> order;  // indices of inputs, by length
    std::size_t next = 0;    // in `order`
    std::size_t done = 0;
    std::vector<std::vector<float>> embeddings;
  };
  struct Item {
    std::uint64_t id;
    int index;
  };
  Job* find(std::uint64_t id);

  int batch_tokens_;
  std::list<Job> jobs_;  // whose turn it is stands first
  std::vector<Item> batch_;
};

}  // namespace tessera
