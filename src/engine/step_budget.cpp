#include "engine/step_budget.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tessera {
namespace {

constexpr double kWeight = 0.2;  // of the newest measurement

void blend(double& average, double value) {
  average = average == 0 ? value : average + kWeight * (value - average);
}

}  // namespace

int StepBudget::alone_for(std::int64_t weight_bytes, int hidden_size) {
  // Of one token: the residual stream, q k v and their heads' outputs, a gated MLP of 2.7 to 4
  // times the width and both in 8 bits. 30 floats per element of the hidden state in SmolLM2, 37 in
  // Llama.
  constexpr std::int64_t kBytesPerElement = 32;
  // What a worker needs besides, whatever its model: code, tokenizer, stacks (measured with SmolLM2).
  constexpr std::int64_t kFixedBytes = 7 << 20;
  const std::int64_t token_bytes = kBytesPerElement * std::max(1, hidden_size);
  const std::int64_t tokens = (weight_bytes / 10 - kFixedBytes) / token_bytes / 16 * 16;  // blocks
  return static_cast<int>(std::clamp<std::int64_t>(tokens, kLeastAlone, kAlone));
}

int StepBudget::bucket(int decodes) {
  return std::min<int>(kBuckets - 1, std::bit_width(static_cast<unsigned>(decodes - 1)));
}

double StepBudget::decode_ns(int decodes) const {
  const int wanted = bucket(decodes);
  if (decode_ns_[wanted] > 0) return decode_ns_[wanted];
  // A step never gets cheaper with more sequences: a smaller batch gives a lower bound.
  for (int b = wanted - 1; b >= 0; --b) {
    if (decode_ns_[b] > 0) return decode_ns_[b];
  }
  return 0;
}

int StepBudget::prefill_tokens(int decodes, int prompts) const {
  if (fixed_ > 0) return std::max(1, fixed_ - decodes);
  if (decodes == 0) return alone_;
  const double step = decode_ns(decodes);
  if (step == 0 || prefill_ns_ == 0) return std::min(kUnmeasured, alone_);
  const double share = std::max(1.0, static_cast<double>(prompts) / decodes);
  const double tokens = std::clamp<double>(share * step / prefill_ns_, kLeast, alone_);
  return static_cast<int>(tokens) / 8 * 8;  // whole tiles of the kernels
}

void StepBudget::observe(int decodes, int prefill_tokens, double step_ns) {
  if (prefill_tokens == 0) {
    if (decodes > 0) blend(decode_ns_[bucket(decodes)], step_ns);
    return;
  }
  if (prefill_tokens < kLeast) return;  // too few to tell from the noise
  double without = 0;
  if (decodes > 0) {
    double& measured = decode_ns_[bucket(decodes)];
    if (measured == 0 && prefill_ns_ > 0) {
      // Under steady load no step may come without prompt tokens; what they do not explain is left.
      measured = std::max(step_ns - prefill_ns_ * prefill_tokens, step_ns / 8);
      return;
    }
    without = decode_ns(decodes);
    if (without == 0) return;
  }
  const double extra = (step_ns - without) / prefill_tokens;
  if (extra > 0) blend(prefill_ns_, extra);
}

}  // namespace tessera
