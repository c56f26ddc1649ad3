#include "engine/scheduler.h"

#include <algorithm>
#include <iterator>

namespace tessera {
namespace {

// Waiting sequences looked at beyond one that another sequence's prefill is about to serve.
constexpr int kLookAhead = 64;

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, BlockManager& blocks)
    : options_(options),
      blocks_(blocks),
      budget_(options.max_step_tokens, options.max_prompt_step_tokens) {}

void Scheduler::add(Sequence& sequence) {
  sequence.running = false;
  waiting_.insert(&sequence);
}

void Scheduler::fork(const Sequence& parent, Sequence& child) {
  blocks_.fork(parent, child);
  child.running = true;
  running_.insert(&child);
}

void Scheduler::remove(Sequence& sequence) {
  if (sequence.running) {
    running_.erase(&sequence);
    blocks_.release(sequence);
    sequence.running = false;
  } else {
    waiting_.erase(&sequence);
  }
}

StepPlan Scheduler::plan() {
  StepPlan plan;
  plan_decodes(plan);
  plan_prompts(plan);
  return plan;
}

void Scheduler::plan_decodes(StepPlan& plan) {
  // preempt() only removes sequences behind the one at hand, or that one itself.
  for (auto it = running_.begin(); it != running_.end();) {
    Sequence& sequence = **it;
    if (sequence.uncomputed() != 1) {
      ++it;
      continue;
    }
    bool alive = true;
    while (alive && !blocks_.can_append(sequence)) {
      Sequence& youngest = **running_.rbegin();
      alive = &youngest != &sequence;
      if (!alive) ++it;
      preempt(youngest);
    }
    if (!alive) continue;
    blocks_.append(sequence, plan.copies);
    plan.sequences.push_back({&sequence, 1});
    ++plan.decodes;
    ++it;
  }
}

void Scheduler::plan_prompts(StepPlan& plan) {
  const int prompts = static_cast<int>(waiting_.size() + running_.size()) - plan.decodes;
  int budget = budget_.prefill_tokens(plan.decodes, prompts);
  in_this_step_.clear();
  for (Sequence* sequence : running_) {
    if (budget <= 0) return;
    if (sequence->uncomputed() > 1) add_chunk(*sequence, budget, plan);
  }
  int weight = running_weight();
  int looked_ahead = 0;
  for (auto it = waiting_.begin(); it != waiting_.end() && budget > 0;) {
    Sequence& sequence = **it;
    if (weight > 0 && weight + sequence.weight() > options_.max_num_seqs) return;
    // Its prefix will be in the cache one step from now; until then others may go first.
    if (is_being_computed(sequence)) {
      if (++looked_ahead == kLookAhead) return;
      ++it;
      continue;
    }
    // Room for the next blocks of those who decode, so that none is preempted right away.
    const int reserve = running_.empty() ? 0 : std::min<int>(plan.decodes, blocks_.blocks() / 32);
    if (!blocks_.can_allocate(sequence, reserve)) return;
    it = waiting_.erase(it);
    blocks_.allocate(sequence);
    sequence.running = true;
    running_.insert(&sequence);
    weight += sequence.weight();
    add_chunk(sequence, budget, plan);
  }
}

void Scheduler::add_chunk(Sequence& sequence, int& budget, StepPlan& plan) {
  if (is_being_computed(sequence)) return;
  blocks_.adopt_computed(sequence);
  int tokens = std::min(budget, sequence.uncomputed());
  if (sequence.sampling != nullptr && sequence.sampling->prompt_logprobs) {
    tokens = std::min(tokens, options_.max_prompt_logprob_tokens);
  }
  // A piece ends with a block where it can, so that others can use all of it.
  const int part = (sequence.computed + tokens) % blocks_.block_size();
  if (tokens < sequence.uncomputed() && part < tokens) tokens -= part;
  if (blocks_.prefix_cache() && sequence.may_use_prefix_cache) {
    const int first = sequence.computed / blocks_.block_size();
    const int end = (sequence.computed + tokens) / blocks_.block_size();
    for (int i = first; i < end; ++i) in_this_step_.insert(sequence.block_hashes[i]);
  }
  plan.sequences.push_back({&sequence, tokens});
  plan.prefill_tokens += tokens;
  budget -= tokens;
}

// Whether the step already computes the block that the sequence needs next.
bool Scheduler::is_being_computed(Sequence& sequence) const {
  if (in_this_step_.empty() || !blocks_.prefix_cache() || !sequence.may_use_prefix_cache) {
    return false;
  }
  blocks_.extend_hashes(sequence);
  // A waiting sequence starts behind what the cache holds, so look at all of its blocks.
  const int limit = (sequence.size() - 1) / blocks_.block_size();
  const int first = sequence.computed / blocks_.block_size();
  const int last = sequence.running ? std::min(first + 1, limit) : limit;
  for (int i = first; i < last; ++i) {
    if (in_this_step_.count(sequence.block_hashes[i]) != 0) return true;
  }
  return false;
}

void Scheduler::preempt(Sequence& sequence) {
  ++preemptions_;
  running_.erase(&sequence);
  blocks_.release(sequence);
  add(sequence);
}

int Scheduler::running_weight() const {
  int weight = 0;
  for (const Sequence* sequence : running_) weight += sequence->weight();
  return weight;
}

void Scheduler::settle(const StepPlan& plan, double step_ns) {
  for (const auto& [sequence, tokens] : plan.sequences) blocks_.mark_computed(*sequence, tokens);
  budget_.observe(plan.decodes, plan.prefill_tokens, step_ns);
}

}  // namespace tessera
