// Decides what each step computes; touches no tensor.
//
// One token budget per step: first one token for every decoding sequence, then pieces of prompts.
// When blocks run out the youngest sequence is preempted: it gives up its blocks and is computed
// again later, mostly from the prefix cache. Sequences are not owned. Engine thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "engine/block_manager.h"
#include "engine/sequence.h"
#include "engine/step_budget.h"

namespace tessera {

struct SchedulerOptions {
  int max_num_seqs = 256;
  int max_step_tokens = 0;                          // 0: adaptive
  int max_prompt_step_tokens = StepBudget::kAlone;  // adaptive: at most this many of prompts
  int max_prompt_logprob_tokens = 64;  // per step and sequence: each needs a row of logits
};

struct ScheduledSequence {
  Sequence* sequence;
  int tokens;  // from sequence->computed on
  bool reaches_end() const { return tokens == sequence->uncomputed(); }
};

struct StepPlan {
  std::vector<ScheduledSequence> sequences;  // decodes first
  std::vector<BlockCopy> copies;             // in this order, before the forward pass
  int decodes = 0;
  int prefill_tokens = 0;
  bool empty() const { return sequences.empty(); }
};

class Scheduler {
 public:
  Scheduler(const SchedulerOptions& options, BlockManager& blocks);

  void add(Sequence& sequence);  // to the waiting
  // A child whose parent has just been prefilled starts to run beside it.
  void fork(const Sequence& parent, Sequence& child);
  void remove(Sequence& sequence);  // from wherever it is; frees its blocks

  StepPlan plan();
  // The plan was carried out: its tokens are in the KV cache. `step_ns` feeds the budget.
  void settle(const StepPlan& plan, double step_ns);

  int waiting() const { return static_cast<int>(waiting_.size()); }
  int running() const { return static_cast<int>(running_.size()); }
  std::int64_t preemptions() const { return preemptions_; }

 private:
  struct Order {
    bool operator()(const Sequence* a, const Sequence* b) const { return a->before(*b); }
  };
  void plan_decodes(StepPlan& plan);
  void plan_prompts(StepPlan& plan);
  void add_chunk(Sequence& sequence, int& budget, StepPlan& plan);
  bool is_being_computed(Sequence& sequence) const;
  void preempt(Sequence& sequence);
  int running_weight() const;

  SchedulerOptions options_;
  BlockManager& blocks_;
  StepBudget budget_;
  std::set<Sequence*, Order> waiting_;
  std::set<Sequence*, Order> running_;
  std::set<std::uint64_t> in_this_step_;  // hashes of the blocks that the plan completes
  std::int64_t preemptions_ = 0;
};

}  // namespace tessera
