#include "engine/embed_batcher.h"

#include <gtest/gtest.h>

#include <map>

namespace tessera {
namespace {

std::vector<std::vector<std::int32_t>> inputs_of(const std::vector<int>& lengths) {
  std::vector<std::vector<std::int32_t>> inputs;
  for (int length : lengths) inputs.emplace_back(length, length);
  return inputs;
}

// Each input's embedding is its length.
std::vector<EmbedBatcher::Done> answer(EmbedBatcher& batcher,
                                       const std::vector<std::span<const std::int32_t>>& batch) {
  Tensor embeddings(static_cast<std::int64_t>(batch.size()), 1);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    embeddings.row(static_cast<std::int64_t>(i))[0] = static_cast<float>(batch[i].size());
  }
  return batcher.finish(embeddings);
}

TEST(EmbedBatcher, KeepsTheBudgetAndRestoresTheOrder) {
  EmbedBatcher batcher(20);
  const std::vector<int> lengths = {9, 1, 30, 4, 12, 7, 2};
  batcher.add(1, inputs_of(lengths));
  std::vector<EmbedBatcher::Done> done;
  int batches = 0;
  while (done.empty()) {
    const auto batch = batcher.next();
    ASSERT_FALSE(batch.empty());
    std::size_t tokens = 0;
    for (const auto& input : batch) tokens += input.size();
    EXPECT_TRUE(tokens <= 20 || batch.size() == 1);
    done = answer(batcher, batch);
    ++batches;
  }
  EXPECT_EQ(batches, 4);  // 1+2+4+7, 9, 12, 30
  ASSERT_EQ(done[0].embeddings.size(), lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    EXPECT_EQ(done[0].embeddings[i][0], static_cast<float>(lengths[i]));
  }
  EXPECT_TRUE(batcher.empty());
}

TEST(EmbedBatcher, AShortRequestDoesNotWaitForALongOne) {
  EmbedBatcher batcher(10);
  batcher.add(1, inputs_of(std::vector<int>(50, 5)));
  batcher.add(2, inputs_of({5}));
  const auto done = answer(batcher, batcher.next());
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].id, 2u);
}

TEST(EmbedBatcher, ForgetsARemovedRequestEvenInItsBatch) {
  EmbedBatcher batcher(100);
  batcher.add(1, inputs_of({3, 3}));
  batcher.add(2, inputs_of({4}));
  const auto batch = batcher.next();
  ASSERT_EQ(batch.size(), 3u);
  Tensor embeddings(3, 1);
  for (int i = 0; i < 3; ++i) embeddings.row(i)[0] = 1;
  batcher.remove(1);
  const auto done = batcher.finish(embeddings);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].id, 2u);
  EXPECT_TRUE(batcher.empty());
}

}  // namespace
}  // namespace tessera
