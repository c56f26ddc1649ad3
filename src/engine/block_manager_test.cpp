#include "engine/block_manager.h"

#include <gtest/gtest.h>

#include <numeric>

namespace tessera {
namespace {

Sequence with_tokens(int count, int first = 0) {
  Sequence sequence;
  sequence.tokens.resize(count);
  std::iota(sequence.tokens.begin(), sequence.tokens.end(), first);
  sequence.prompt_tokens = count;
  return sequence;
}

void compute_all(BlockManager& blocks, Sequence& sequence) {
  blocks.mark_computed(sequence, sequence.uncomputed());
}

TEST(BlockManager, AllocatesJustWhatTheTokensNeed) {
  for (const auto& [tokens, expected] : {std::pair{1, 1}, {3, 1}, {4, 1}, {5, 2}, {8, 2}, {9, 3}}) {
    BlockManager blocks(8, 4, true);
    Sequence sequence = with_tokens(tokens);
    ASSERT_TRUE(blocks.can_allocate(sequence, 0));
    blocks.allocate(sequence);
    EXPECT_EQ(sequence.block_table.size(), static_cast<std::size_t>(expected)) << tokens;
    EXPECT_EQ(blocks.used_blocks(), expected);
    blocks.release(sequence);
    EXPECT_EQ(blocks.used_blocks(), 0);
  }
}

TEST(BlockManager, RefusesWhatDoesNotFit) {
  BlockManager blocks(4, 4, true);
  Sequence sequence = with_tokens(16);
  EXPECT_TRUE(blocks.can_allocate(sequence, 0));
  EXPECT_FALSE(blocks.can_allocate(sequence, 1));
  Sequence larger = with_tokens(17);
  EXPECT_FALSE(blocks.can_allocate(larger, 0));
}

TEST(BlockManager, AppendsABlockAtTheBoundaryOnly) {
  BlockManager blocks(3, 4, false);
  std::vector<BlockCopy> copies;
  Sequence sequence = with_tokens(3);
  blocks.allocate(sequence);
  compute_all(blocks, sequence);
  sequence.tokens.push_back(7);  // fills the first block
  ASSERT_TRUE(blocks.can_append(sequence));
  blocks.append(sequence, copies);
  EXPECT_EQ(sequence.block_table.size(), 1u);
  sequence.tokens.push_back(8);  // opens the second
  blocks.append(sequence, copies);
  EXPECT_EQ(sequence.block_table.size(), 2u);
  Sequence other = with_tokens(4, 50);
  blocks.allocate(other);
  compute_all(blocks, other);
  other.tokens.push_back(1);
  EXPECT_FALSE(blocks.can_append(other));
  EXPECT_TRUE(copies.empty());
}

TEST(BlockManager, SharesAPrefixWithALiveSequence) {
  BlockManager blocks(16, 4, true);
  Sequence first = with_tokens(10);
  blocks.allocate(first);
  compute_all(blocks, first);
  Sequence second = with_tokens(10);
  second.tokens[9] = 99;
  blocks.allocate(second);
  EXPECT_EQ(second.computed, 8);
  EXPECT_EQ(second.cached_tokens, 8);
  EXPECT_EQ(second.block_table[0], first.block_table[0]);
  EXPECT_EQ(second.block_table[1], first.block_table[1]);
  EXPECT_NE(second.block_table[2], first.block_table[2]);
  EXPECT_EQ(blocks.used_blocks(), 4);
}

TEST(BlockManager, LeavesTheLastTokenToCompute) {
  BlockManager blocks(16, 4, true);
  Sequence first = with_tokens(8);
  blocks.allocate(first);
  compute_all(blocks, first);
  Sequence same = with_tokens(8);
  blocks.allocate(same);
  EXPECT_EQ(same.computed, 4);
}

TEST(BlockManager, DoesNotShareWhatIsNotComputedYet) {
  BlockManager blocks(16, 4, true);
  Sequence first = with_tokens(12);
  blocks.allocate(first);
  blocks.mark_computed(first, 6);  // one whole block
  Sequence second = with_tokens(12);
  blocks.allocate(second);
  EXPECT_EQ(second.computed, 4);
  blocks.mark_computed(first, 6);
  const int own = second.block_table[1];
  blocks.adopt_computed(second);
  EXPECT_EQ(second.computed, 8);
  EXPECT_EQ(second.block_table[1], first.block_table[1]);
  EXPECT_NE(second.block_table[1], own);
  EXPECT_EQ(blocks.used_blocks(), 4);  // the block of its own went back
}

TEST(BlockManager, TheSameTokensAfterAnotherBeginningAreAnotherBlock) {
  BlockManager blocks(16, 4, true);
  Sequence first;
  first.tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  blocks.allocate(first);
  compute_all(blocks, first);
  Sequence second;
  second.tokens = {0, 2, 3, 4, 5, 6, 7, 8, 9};
  blocks.allocate(second);
  EXPECT_EQ(second.computed, 0);
  Sequence third;  // the second block's tokens as its first
  third.tokens = {5, 6, 7, 8, 9};
  blocks.allocate(third);
  EXPECT_EQ(third.computed, 0);
}

TEST(BlockManager, FindsAPrefixAfterItsOwnerLeftUntilTheBlocksAreNeeded) {
  BlockManager blocks(4, 4, true);
  Sequence first = with_tokens(9);
  blocks.allocate(first);
  compute_all(blocks, first);
  blocks.release(first);
  EXPECT_EQ(blocks.free_blocks(), 4);
  Sequence again = with_tokens(9);
  blocks.allocate(again);
  EXPECT_EQ(again.computed, 8);
  blocks.release(again);
  Sequence other = with_tokens(16, 100);  // takes all memory
  ASSERT_TRUE(blocks.can_allocate(other, 0));
  blocks.allocate(other);
  EXPECT_EQ(other.computed, 0);
  blocks.release(other);
  Sequence third = with_tokens(9);
  blocks.allocate(third);
  EXPECT_EQ(third.computed, 0);
}

TEST(BlockManager, GivesUpTheLeastRecentlyUsedAndTheEndOfAPrefixFirst) {
  BlockManager blocks(4, 4, true);
  Sequence old = with_tokens(9), recent = with_tokens(5, 50);
  blocks.allocate(old);
  compute_all(blocks, old);
  blocks.release(old);
  blocks.allocate(recent);
  compute_all(blocks, recent);
  blocks.release(recent);
  // Free now: two blocks without contents… then old[1], old[0], recent[0] in this order.
  Sequence taker = with_tokens(8, 200);
  blocks.allocate(taker);
  Sequence old_again = with_tokens(9);
  EXPECT_TRUE(blocks.can_allocate(old_again, 0) == false);  // 1 hit + 2 more > 2 free
  Sequence old_short = with_tokens(6);
  blocks.allocate(old_short);
  EXPECT_EQ(old_short.computed, 4);
}

TEST(BlockManager, CopiesASharedBlockBeforeWriting) {
  BlockManager blocks(8, 4, true);
  std::vector<BlockCopy> copies;
  Sequence parent = with_tokens(6);
  blocks.allocate(parent);
  compute_all(blocks, parent);
  Sequence child = with_tokens(6);
  blocks.fork(parent, child);
  EXPECT_EQ(child.block_table, parent.block_table);
  EXPECT_EQ(blocks.used_blocks(), 2);
  child.tokens.push_back(1);
  parent.tokens.push_back(2);
  const int shared = parent.block_table[1];
  blocks.append(child, copies);
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_EQ(copies[0].from, shared);
  EXPECT_EQ(copies[0].to, child.block_table[1]);
  EXPECT_NE(child.block_table[1], shared);
  blocks.append(parent, copies);  // the only owner now
  EXPECT_EQ(copies.size(), 1u);
  EXPECT_EQ(parent.block_table[1], shared);
  blocks.release(parent);
  blocks.release(child);
  EXPECT_EQ(blocks.used_blocks(), 0);
}

TEST(BlockManager, AForkOfAFullBlockCopiesNothing) {
  BlockManager blocks(8, 4, true);
  std::vector<BlockCopy> copies;
  Sequence parent = with_tokens(8);
  blocks.allocate(parent);
  compute_all(blocks, parent);
  Sequence child = with_tokens(8);
  blocks.fork(parent, child);
  child.tokens.push_back(1);
  blocks.append(child, copies);
  EXPECT_TRUE(copies.empty());
  EXPECT_EQ(child.block_table.size(), 3u);
}

TEST(BlockManager, CountsSharedLiveBlocksAsFreeOfCharge) {
  BlockManager blocks(4, 4, true);
  Sequence first = with_tokens(12);
  blocks.allocate(first);
  compute_all(blocks, first);
  Sequence second = with_tokens(12);
  second.tokens[11] = 77;
  ASSERT_EQ(blocks.free_blocks(), 1);
  EXPECT_TRUE(blocks.can_allocate(second, 0));
  EXPECT_FALSE(blocks.can_allocate(second, 1));
  blocks.allocate(second);
  EXPECT_EQ(blocks.free_blocks(), 0);
}

TEST(BlockManager, CachedBlocksAreTakenLast) {
  BlockManager blocks(4, 4, true);
  Sequence cached = with_tokens(5);  // one block that is registered, one that is not full
  blocks.allocate(cached);
  compute_all(blocks, cached);
  const std::vector<int> used = cached.block_table;
  blocks.release(cached);
  EXPECT_EQ(blocks.touched_blocks(), 2);

  Sequence other = with_tokens(16, 100);
  blocks.allocate(other);
  ASSERT_EQ(other.block_table.size(), 4u);
  EXPECT_EQ(other.block_table[0], used[1]);  // of no use to anyone
  EXPECT_EQ(other.block_table[3], used[0]);
  EXPECT_EQ(blocks.touched_blocks(), 4);
  EXPECT_EQ(blocks.free_blocks(), 0);
}

TEST(BlockManager, WithoutPrefixCacheNothingIsShared) {
  BlockManager blocks(8, 4, false);
  Sequence first = with_tokens(9), second = with_tokens(9);
  blocks.allocate(first);
  compute_all(blocks, first);
  blocks.allocate(second);
  EXPECT_EQ(second.computed, 0);
}

TEST(BlockManager, RegistersGeneratedBlocksToo) {
  BlockManager blocks(8, 4, true);
  std::vector<BlockCopy> copies;
  Sequence first = with_tokens(3);
  blocks.allocate(first);
  compute_all(blocks, first);
  for (int token = 3; token < 9; ++token) {
    first.tokens.push_back(token);
    blocks.append(first, copies);
    blocks.mark_computed(first, 1);
  }
  Sequence next_turn = with_tokens(12);
  blocks.allocate(next_turn);
  EXPECT_EQ(next_turn.computed, 8);
}

}  // namespace
}  // namespace tessera
