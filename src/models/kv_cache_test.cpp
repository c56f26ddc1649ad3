#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "models/model.h"

namespace tessera {
namespace {

TEST(KvCache, LaysOutLayersBlocksAndHeads) {
  KvCache kv(3, 2, 8, 5, 16, KvType::kF16);
  EXPECT_EQ(kv.bytes(), std::int64_t{3} * 5 * 2 * 2 * 16 * 8 * 2);
  EXPECT_EQ(KvCache::bytes_per_token(3, 2, 8, KvType::kF16) * 5 * 16, kv.bytes());
  const KvLayer first = kv.layer(0), last = kv.layer(2);
  const std::int64_t matrix = 16 * 8 * 2;
  EXPECT_EQ(first.values(0, 0) - first.keys(0, 0), matrix);
  EXPECT_EQ(first.keys(0, 1) - first.keys(0, 0), 2 * matrix);
  EXPECT_EQ(first.keys(1, 0) - first.keys(0, 0), 4 * matrix);
  EXPECT_EQ(last.values(4, 1) + matrix - first.keys(0, 0), kv.bytes());
}

TEST(KvCache, CopiesABlockInAllLayers) {
  KvCache kv(2, 1, 4, 3, 16, KvType::kF32);
  for (int l = 0; l < 2; ++l) {
    std::memset(kv.layer(l).keys(1, 0), 10 + l,
                static_cast<std::size_t>(kv.layer(l).block_bytes()));
  }
  kv.copy_block(1, 2);
  for (int l = 0; l < 2; ++l) {
    const KvLayer layer = kv.layer(l);
    EXPECT_EQ(std::memcmp(layer.keys(1, 0), layer.keys(2, 0),
                          static_cast<std::size_t>(layer.block_bytes())),
              0);
    EXPECT_EQ(layer.keys(0, 0)[0], std::byte{0});
  }
}

TEST(KvCache, ReservesMoreThanItTouches) {
  // 64 GiB of addresses.
  KvCache kv(32, 8, 128, 1 << 15, 16, KvType::kF16);
  EXPECT_EQ(kv.bytes(), std::int64_t{1} << 36);
  kv.layer(31).values((1 << 15) - 1, 7)[0] = std::byte{1};
}

TEST(KvCache, RefusesBadShapes) {
  const auto make = [](int layers, int heads, int dim, int blocks, int size) {
    KvCache kv(layers, heads, dim, blocks, size, KvType::kF16);
  };
  EXPECT_THROW(make(0, 1, 8, 1, 16), Error);
  EXPECT_THROW(make(1, 1, 8, 0, 16), Error);
  EXPECT_THROW(make(1, 1, 8, 1, 24), Error);
  EXPECT_THROW(make(1 << 30, 1 << 30, 1 << 30, 1 << 30, 1 << 30), Error);
}

}  // namespace
}  // namespace tessera
