// A mixture of experts (arXiv:1701.06538): which experts a token takes, and their gated MLPs.
//
// A row's result does not depend on the other rows in the call, nor on the number of threads:
// the experts of a row are added in ascending order, whatever the batch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "compute/linear.h"
#include "compute/parallel.h"
#include "compute/tensor.h"

namespace tessera {

struct Expert {
  Linear gate_up_proj;  // of pack_gated: [intermediate, hidden] twice
  Linear down_proj;     // [hidden, intermediate]

  std::int64_t bytes() const { return gate_up_proj.bytes() + down_proj.bytes(); }
};

// The experts of each row, best first.
struct Routing {
  int experts_per_tok = 0;
  std::vector<std::int32_t> experts;  // [rows * experts_per_tok]
  std::vector<float> weights;         // [rows * experts_per_tok]
};

// p = softmax(router_logits) over all experts, of which the experts_per_tok largest are taken
// (ties: the lower index). Their weights are divided by their own `norm`-norm (1: their sum), or
// stay as they are. router_logits: [rows, experts]. 1 <= experts_per_tok <= experts.
void route(const Tensor& router_logits, int experts_per_tok, std::optional<double> norm,
           Routing& routing, ThreadPool& pool);

// Owns the scratch memory; one object serves all layers of a model. Not thread-safe.
class MixtureOfExperts {
 public:
  // y[t] += sum over the experts e of row t: weight * down_e(gate(x W_gate_e^T) * (x W_up_e^T)).
  // x: [rows, hidden]; y: [rows, hidden], another matrix. Only experts that some row takes are
  // read.
  void forward_add(const Tensor& x, const Routing& routing, std::span<const Expert> experts,
                   Gate gate, Tensor& y, ThreadPool& pool);

 private:
  // One expert on the rows that activation_ holds.
  void run(const Expert& expert, Gate gate, ThreadPool& pool);

  // Rows that take expert e: places_[first_[e]] … places_[first_[e + 1] - 1], ascending. A place is
  // an index into Routing::weights.
  std::vector<std::int32_t> first_, places_;
  Activation activation_, gated_activation_;
  Tensor gathered_, gated_, out_;
};

}  // namespace tessera
