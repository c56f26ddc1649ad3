#include "compute/moe.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "compute/row_chunks.h"

namespace tessera {
namespace {

// Softmax of one row, in place; NaN makes all of it NaN, as in the reference.
void softmax(std::span<float> x) {
  const float peak = *std::max_element(x.begin(), x.end());
  float sum = 0;
  for (float& value : x) {
    value = std::exp(value - peak);
    sum += value;
  }
  for (float& value : x) value /= sum;
}

// Takes the `count` largest of `p`. Never an expert twice, even among NaN.
void take_largest(std::span<const float> p, int count, std::int32_t* experts, float* weights) {
  for (int i = 0; i < count; ++i) {
    int best = -1;
    for (int e = 0; e < static_cast<int>(p.size()); ++e) {
      const bool taken = std::find(experts, experts + i, e) != experts + i;
      if (!taken &&
          (best < 0 || p[static_cast<std::size_t>(e)] > p[static_cast<std::size_t>(best)])) {
        best = e;
      }
    }
    experts[i] = best;
    weights[i] = p[static_cast<std::size_t>(best)];
  }
}

float norm_of(std::span<const float> weights, double p) {
  if (p == 1.0) {
    float sum = 0;
    for (const float weight : weights) sum += weight;
    return sum;
  }
  double sum = 0;
  for (const float weight : weights) sum += std::pow(static_cast<double>(weight), p);
  return static_cast<float>(std::pow(sum, 1.0 / p));
}

}  // namespace

void route(const Tensor& router_logits, int experts_per_tok, std::optional<double> norm,
           Routing& routing, ThreadPool& pool) {
  const std::int64_t rows = router_logits.rows(), experts = router_logits.cols();
  if (experts_per_tok < 1 || experts_per_tok > experts) {
    throw Error(ErrorKind::kInternal, "route: " + std::to_string(experts_per_tok) +
                                          " experts per token of " + std::to_string(experts) + ".");
  }
  const auto k = static_cast<std::size_t>(experts_per_tok);
  routing.experts_per_tok = experts_per_tok;
  routing.experts.resize(static_cast<std::size_t>(rows) * k);
  routing.weights.resize(static_cast<std::size_t>(rows) * k);
  // About 8 ns per exponential.
  for_row_ranges(rows, experts * 16, pool, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> p(static_cast<std::size_t>(experts));
    for (std::int64_t r = first; r < last; ++r) {
      std::copy_n(router_logits.row(r), experts, p.data());
      softmax(p);
      const std::size_t at = static_cast<std::size_t>(r) * k;
      const std::span<float> weights(routing.weights.data() + at, k);
      take_largest(p, experts_per_tok, routing.experts.data() + at, weights.data());
      if (!norm) continue;
      const float divisor = norm_of(weights, *norm);
      for (float& weight : weights) weight /= divisor;
    }
  });
}

void MixtureOfExperts::run(const Expert& expert, Gate gate, ThreadPool& pool) {
  expert.gate_up_proj.forward_gated(activation_, gate, gated_, pool);
  gated_activation_.prepare(gated_, expert.down_proj.activation_format(), pool);
  expert.down_proj.forward(gated_activation_, out_, pool);
}

void MixtureOfExperts::forward_add(const Tensor& x, const Routing& routing,
                                   std::span<const Expert> experts, Gate gate, Tensor& y,
                                   ThreadPool& pool) {
  const std::int64_t rows = x.rows(), cols = x.cols(), k = routing.experts_per_tok;
  if (static_cast<std::int64_t>(routing.experts.size()) != rows * k || y.rows() != rows ||
      y.cols() != cols) {
    throw Error(ErrorKind::kInternal, "MixtureOfExperts: x, routing and y do not fit together.");
  }
  // Places sorted by expert: count, add up, then hand out. Afterwards first_[e + 1] is its end.
  first_.assign(experts.size() + 2, 0);
  for (const std::int32_t e : routing.experts) ++first_[static_cast<std::size_t>(e) + 2];
  for (std::size_t e = 2; e < first_.size(); ++e) first_[e] += first_[e - 1];
  places_.resize(routing.experts.size());
  for (std::size_t place = 0; place < places_.size(); ++place) {
    const auto e = static_cast<std::size_t>(routing.experts[place]);
    places_[static_cast<std::size_t>(first_[e + 1]++)] = static_cast<std::int32_t>(place);
  }

  const bool one_row = rows == 1;  // as in decoding: prepared once for all its experts
  bool prepared = false;
  for (std::size_t e = 0; e < experts.size(); ++e) {
    const std::span<const std::int32_t> places(places_.data() + first_[e],
                                               places_.data() + first_[e + 1]);
    if (places.empty()) continue;
    const Expert& expert = experts[e];
    const ActivationFormat format = expert.gate_up_proj.activation_format();
    if (one_row) {
      if (!prepared || activation_.format() != format) activation_.prepare(x, format, pool);
      prepared = true;
    } else {
      const auto count = static_cast<std::int64_t>(places.size());
      gathered_.resize(count, cols);
      for_row_ranges(count, cols, pool, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          std::copy_n(x.row(places[static_cast<std::size_t>(i)] / k), cols, gathered_.row(i));
        }
      });
      activation_.prepare(gathered_, format, pool);
    }
    run(expert, gate, pool);
    for_row_ranges(out_.rows(), cols, pool, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const std::int32_t place = places[static_cast<std::size_t>(i)];
        const float weight = routing.weights[static_cast<std::size_t>(place)];
        const float* from = out_.row(i);
        float* to = y.row(place / k);
        for (std::int64_t c = 0; c < cols; ++c) to[c] += weight * from[c];
      }
    });
  }
}

}  // namespace tessera
