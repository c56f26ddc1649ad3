// How many prompt tokens a step may carry, learnt from the steps before.
//
// With sequences decoding, a step should take at most about twice as long as without the prompt
// tokens (engine-performance D.4). When more prompts wait than sequences decode, the greater number
// counts for more: the prompts may take as many times a decoding step as there are prompts per
// decoding sequence. Alone, prompts go in large chunks. Engine thread only.
#pragma once

#include <array>

namespace tessera {

class StepBudget {
 public:
  // fixed > 0: that many tokens per step, decodes included, whatever is measured.
  explicit StepBudget(int fixed) : fixed_(fixed) {}

  // prompts: sequences whose prompt is not done, the waiting ones included.
  int prefill_tokens(int decodes, int prompts = 1) const;
  void observe(int decodes, int prefill_tokens, double step_ns);

  static constexpr int kAlone = 512;  // tokens per step when nobody waits for a next token
  static constexpr int kLeast = 16;   // prompts always move on
  static constexpr int kUnmeasured = 64;

 private:
  static constexpr int kBuckets = 10;  // decodes 1, 2, 3-4, 5-8, …, 257 and more
  static int bucket(int decodes);
  double decode_ns(int decodes) const;  // 0: not measured

  int fixed_;
  std::array<double, kBuckets> decode_ns_{};  // of a step without prompt tokens
  double prefill_ns_ = 0;                     // one prompt token more
};

}  // namespace tessera
