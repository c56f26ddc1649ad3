// How many prompt tokens a step may carry, learnt from the steps before.
//
// With sequences decoding, a step should take at most about twice as long as without the prompt
// tokens (engine-performance D.4). When more prompts wait than sequences decode, the greater number
// counts for more: the prompts may take as many times a decoding step as there are prompts per
// decoding sequence. Alone, prompts go in large chunks, as large as the model makes worth while.
// Engine thread only.
#pragma once

#include <array>
#include <cstdint>

namespace tessera {

class StepBudget {
 public:
  // fixed > 0: that many tokens per step, decodes included, whatever is measured.
  // alone: tokens per step when nobody waits for a next token.
  explicit StepBudget(int fixed, int alone = kAlone) : fixed_(fixed), alone_(alone) {}

  // `alone` for a model. Its scratch memory grows with the tokens of a step, and a worker shall stay
  // within a tenth more than its weights, keys and values. That matters to small models only, whose
  // weights cost little to read once more: with 64 tokens per step SmolLM2-135M prefills 6 %, with
  // 128 3 % slower than with 256 (quiet machine, medians of 5).
  static int alone_for(std::int64_t weight_bytes, int hidden_size);

  // prompts: sequences whose prompt is not done, the waiting ones included.
  int prefill_tokens(int decodes, int prompts = 1) const;
  void observe(int decodes, int prefill_tokens, double step_ns);

  static constexpr int kAlone = 512;  // at most, whatever the model
  static constexpr int kLeast = 16;   // prompts always move on
  static constexpr int kUnmeasured = 64;
  static constexpr int kLeastAlone = 48;

 private:
  static constexpr int kBuckets = 10;  // decodes 1, 2, 3-4, 5-8, …, 257 and more
  static int bucket(int decodes);
  double decode_ns(int decodes) const;  // 0: not measured

  int fixed_, alone_;
  std::array<double, kBuckets> decode_ns_{};  // of a step without prompt tokens
  double prefill_ns_ = 0;                     // one prompt token more
};

}  // namespace tessera
