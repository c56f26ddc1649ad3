#include "engine/step_budget.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(StepBudget, AFixedBudgetCountsDecodes) {
  StepBudget budget(100);
  EXPECT_EQ(budget.prefill_tokens(0), 100);
  EXPECT_EQ(budget.prefill_tokens(30), 70);
  EXPECT_EQ(budget.prefill_tokens(200), 1);
}

TEST(StepBudget, LargePiecesWhenNobodyDecodes) {
  StepBudget budget(0);
  EXPECT_EQ(budget.prefill_tokens(0), StepBudget::kAlone);
  EXPECT_EQ(budget.prefill_tokens(4), StepBudget::kUnmeasured);
}

TEST(StepBudget, ASmallModelTakesSmallerPieces) {
  // SmolLM2-135M at 4 bits, Llama-1B at 8, Mixtral at 4; one without weights.
  EXPECT_EQ(StepBudget::alone_for(96'400'000, 576), 112);
  EXPECT_EQ(StepBudget::alone_for(200'000'000, 2048), 192);
  EXPECT_EQ(StepBudget::alone_for(766'000'000, 2048), StepBudget::kAlone);
  EXPECT_EQ(StepBudget::alone_for(26'000'000'000, 4096), StepBudget::kAlone);
  EXPECT_EQ(StepBudget::alone_for(0, 0), StepBudget::kLeastAlone);
  StepBudget budget(0, 96);
  EXPECT_EQ(budget.prefill_tokens(0), 96);
  budget.observe(1, 0, 1e9);
  budget.observe(0, 64, 64e3);
  EXPECT_EQ(budget.prefill_tokens(1), 96);
}

TEST(StepBudget, APromptAtMostDoublesTheStep) {
  StepBudget budget(0);
  for (int i = 0; i < 50; ++i) {
    budget.observe(16, 0, 10e6);              // 10 ms per decode step
    budget.observe(16, 64, 10e6 + 64 * 5e4);  // 50 us per prompt token
  }
  EXPECT_EQ(budget.prefill_tokens(16), 200);
  // A larger batch not seen yet is at least as slow.
  EXPECT_EQ(budget.prefill_tokens(60), 200);
}

TEST(StepBudget, ManyPromptsWeighMoreThanFewDecodes) {
  StepBudget budget(0);
  budget.observe(2, 0, 4e6);
  budget.observe(0, 512, 512 * 1e5);
  EXPECT_EQ(budget.prefill_tokens(2, 1), 40);
  EXPECT_EQ(budget.prefill_tokens(2, 2), 40);
  EXPECT_EQ(budget.prefill_tokens(2, 6), 120);
  EXPECT_EQ(budget.prefill_tokens(2, 1000), StepBudget::kAlone);
}

TEST(StepBudget, PromptsAlwaysMoveOn) {
  StepBudget budget(0);
  for (int i = 0; i < 50; ++i) {
    budget.observe(1, 0, 1e6);
    budget.observe(0, 512, 512 * 1e6);
  }
  EXPECT_EQ(budget.prefill_tokens(1), StepBudget::kLeast);
}

TEST(StepBudget, LearnsFromMixedStepsAlone) {
  StepBudget budget(0);
  budget.observe(0, 512, 512 * 5e4);
  for (int i = 0; i < 20; ++i) budget.observe(8, 64, 8e6 + 64 * 5e4);
  EXPECT_EQ(budget.prefill_tokens(8), 160);
}

TEST(StepBudget, FollowsAChange) {
  StepBudget budget(0);
  budget.observe(1, 0, 5e6);
  budget.observe(0, 512, 512 * 1e5);
  const int before = budget.prefill_tokens(1);
  for (int i = 0; i < 50; ++i) budget.observe(0, 512, 512 * 5e4);
  EXPECT_GT(budget.prefill_tokens(1), before);
}

}  // namespace
}  // namespace tessera
