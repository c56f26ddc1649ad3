#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <memory>

namespace tessera {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  void start(int blocks, SchedulerOptions options = {}, bool prefix_cache = true) {
    blocks_ = std::make_unique<BlockManager>(blocks, 4, prefix_cache);
    scheduler_ = std::make_unique<Scheduler>(options, *blocks_);
  }

  Sequence& add(int tokens, int priority = 0, int first_token = -1) {
    auto sequence = std::make_unique<Sequence>();
    sequence->sampling = &sampling_;
    sequence->arrival = ++arrivals_;
    sequence->priority = priority;
    // Different prompts unless asked otherwise.
    const int first = first_token >= 0 ? first_token : static_cast<int>(arrivals_) * 1000;
    for (int i = 0; i < tokens; ++i) sequence->tokens.push_back(first + i);
    sequence->prompt_tokens = tokens;
    scheduler_->add(*sequence);
    sequences_.push_back(std::move(sequence));
    return *sequences_.back();
  }

  // Carries out a plan as the engine would: every sequence that reaches its end gets a token.
  StepPlan turn() {
    StepPlan plan = scheduler_->plan();
    scheduler_->settle(plan, 1e6);
    for (const auto& scheduled : plan.sequences) {
      if (scheduled.sequence->uncomputed() == 0) scheduled.sequence->tokens.push_back(7);
    }
    return plan;
  }

  static int tokens_of(const StepPlan& plan, const Sequence& sequence) {
    for (const auto& scheduled : plan.sequences) {
      if (scheduled.sequence == &sequence) return scheduled.tokens;
    }
    return 0;
  }

  SamplingParams sampling_;
  std::uint64_t arrivals_ = 0;
  std::vector<std::unique_ptr<Sequence>> sequences_;
  std::unique_ptr<BlockManager> blocks_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, PrefillsInPiecesAndDecodesFirst) {
  SchedulerOptions options;
  options.max_step_tokens = 12;
  start(64, options);
  Sequence& first = add(5);
  EXPECT_EQ(tokens_of(turn(), first), 5);
  Sequence& second = add(30);
  StepPlan plan = turn();
  ASSERT_EQ(plan.sequences.size(), 2u);
  EXPECT_EQ(plan.sequences[0].sequence, &first);
  EXPECT_EQ(plan.sequences[0].tokens, 1);
  EXPECT_EQ(plan.decodes, 1);
  EXPECT_EQ(tokens_of(plan, second), 8);  // 11 of the budget, down to a whole block
  plan = turn();
  EXPECT_EQ(tokens_of(plan, first), 1);
  EXPECT_EQ(tokens_of(plan, second), 8);
  turn();
  plan = turn();
  EXPECT_EQ(tokens_of(plan, second), 6);
  EXPECT_EQ(turn().decodes, 2);
}

TEST_F(SchedulerTest, APromptFillsTheBudgetTogetherWithTheNext) {
  SchedulerOptions options;
  options.max_step_tokens = 20;
  start(64, options);
  Sequence& first = add(8);
  Sequence& second = add(30);
  const StepPlan plan = turn();
  EXPECT_EQ(tokens_of(plan, first), 8);
  EXPECT_EQ(tokens_of(plan, second), 12);
  EXPECT_EQ(plan.prefill_tokens, 20);
}

TEST_F(SchedulerTest, RunsAtMostMaxNumSeqs) {
  SchedulerOptions options;
  options.max_num_seqs = 2;
  start(64, options);
  Sequence& first = add(4);
  add(4);
  add(4);
  turn();
  EXPECT_EQ(scheduler_->running(), 2);
  EXPECT_EQ(scheduler_->waiting(), 1);
  scheduler_->remove(first);
  turn();
  EXPECT_EQ(scheduler_->running(), 2);
  EXPECT_EQ(scheduler_->waiting(), 0);
}

TEST_F(SchedulerTest, ForksCountBeforeTheyExist) {
  SchedulerOptions options;
  options.max_num_seqs = 3;
  start(64, options);
  Sequence& parent = add(4);
  Sequence child_a, child_b;
  parent.forks = {&child_a, &child_b};
  add(4);
  turn();
  EXPECT_EQ(scheduler_->running(), 1);
  EXPECT_EQ(scheduler_->waiting(), 1);
}

TEST_F(SchedulerTest, LowerPriorityNumbersGoFirst) {
  SchedulerOptions options;
  options.max_num_seqs = 1;
  start(64, options);
  add(4, 5);
  Sequence& urgent = add(4, -5);
  const StepPlan plan = turn();
  ASSERT_EQ(plan.sequences.size(), 1u);
  EXPECT_EQ(plan.sequences[0].sequence, &urgent);
}

TEST_F(SchedulerTest, NobodyOvertakesTheFirstOneThatDoesNotFit) {
  start(8);
  Sequence& running = add(16);
  turn();
  Sequence& large = add(20);
  Sequence& small = add(2);
  turn();
  EXPECT_FALSE(large.running);
  EXPECT_FALSE(small.running);
  scheduler_->remove(running);
  turn();
  EXPECT_TRUE(large.running);
  EXPECT_TRUE(small.running);
}

TEST_F(SchedulerTest, PreemptsTheYoungestAndComputesItAgain) {
  start(4, {}, /*prefix_cache=*/false);
  Sequence& old = add(8);  // two blocks each
  Sequence& young = add(8);
  turn();
  // Both now need a third block and none is free.
  StepPlan plan = turn();
  EXPECT_EQ(scheduler_->preemptions(), 1);
  EXPECT_TRUE(old.running);
  EXPECT_FALSE(young.running);
  EXPECT_EQ(young.computed, 0);
  EXPECT_TRUE(young.block_table.empty());
  EXPECT_EQ(young.size(), 9);  // what it generated is kept
  EXPECT_EQ(tokens_of(plan, old), 1);
  scheduler_->remove(old);
  plan = turn();
  EXPECT_EQ(tokens_of(plan, young), 9);
}

TEST_F(SchedulerTest, PreemptsTheLeastUrgentBeforeTheYoungest) {
  start(4, {}, /*prefix_cache=*/false);
  Sequence& old = add(8, 1);
  Sequence& young = add(8, 0);
  turn();
  turn();
  EXPECT_FALSE(old.running);
  EXPECT_TRUE(young.running);
}

TEST_F(SchedulerTest, ALonelySequenceAlwaysMovesOn) {
  start(4, {}, /*prefix_cache=*/false);
  Sequence& only = add(15);
  turn();
  EXPECT_EQ(only.computed, 15);
  turn();  // fills the last block
  EXPECT_EQ(only.computed, 16);
}

TEST_F(SchedulerTest, EqualPromptsOfOneStepAreComputedOnce) {
  start(64);
  Sequence& first = add(14, 0, 1);
  Sequence& second = add(14, 0, 1);
  Sequence& other = add(6);
  StepPlan plan = turn();
  EXPECT_EQ(tokens_of(plan, first), 14);
  EXPECT_EQ(tokens_of(plan, second), 0);
  EXPECT_EQ(tokens_of(plan, other), 6);  // does not wait for them
  plan = turn();
  EXPECT_EQ(tokens_of(plan, second), 2);
  EXPECT_EQ(second.cached_tokens, 12);
}

TEST_F(SchedulerTest, AdoptsWhatAnotherComputedMeanwhile) {
  SchedulerOptions options;
  options.max_step_tokens = 8;
  start(64, options);
  Sequence& first = add(17, 0, 1);
  StepPlan plan = turn();
  EXPECT_EQ(tokens_of(plan, first), 8);
  Sequence& second = add(17, 0, 1);
  plan = turn();
  EXPECT_EQ(tokens_of(plan, first), 8);
  plan = turn();  // the last token of the first; the second has 16 of 17 in the cache
  EXPECT_EQ(tokens_of(plan, first), 1);
  EXPECT_EQ(tokens_of(plan, second), 1);
  EXPECT_EQ(second.cached_tokens, 16);
}

TEST_F(SchedulerTest, PromptLogprobsLimitThePiece) {
  SchedulerOptions options;
  options.max_prompt_logprob_tokens = 8;
  start(64, options);
  sampling_.prompt_logprobs = 1;
  Sequence& sequence = add(20);
  EXPECT_EQ(tokens_of(turn(), sequence), 8);
}

TEST_F(SchedulerTest, RemovingFreesEverything) {
  start(16);
  Sequence& a = add(10);
  Sequence& b = add(10);
  turn();
  scheduler_->remove(a);
  scheduler_->remove(b);
  scheduler_->remove(b);  // twice does no harm
  EXPECT_EQ(blocks_->used_blocks(), 0);
  EXPECT_TRUE(scheduler_->plan().empty());
}

}  // namespace
}  // namespace tessera
