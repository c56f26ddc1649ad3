#include "engine/kv_sizing.h"

#include <gtest/gtest.h>

#include "models/test_files.h"

namespace tessera {
namespace {

ModelInfo small_model() {
  ModelInfo info;
  info.num_hidden_layers = 2;
  info.num_kv_heads = 2;
  info.head_dim = 8;
  info.context_length = 1024;
  return info;
}

std::int64_t context_bytes(const EngineOptions& options, const ModelInfo& info) {
  return KvCache::bytes_per_token(info.num_hidden_layers, info.num_kv_heads, info.head_dim,
                                  options.kv_type) *
         info.context_length;
}

TEST(KvSizing, DefaultFitsSomeContextsWithinHalfTheMemory) {
  EngineOptions options;
  const ModelInfo info = small_model();
  const std::int64_t context = context_bytes(options, info);
  EXPECT_EQ(size_kv(options, info, std::int64_t{1} << 40).blocks, kDefaultContexts * 1024 / 16);
  EXPECT_EQ(size_kv(options, info, 6 * context).blocks, 3 * 1024 / 16);
}

TEST(KvSizing, ShrinksTheContextOnlyWhenNobodyAskedForIt) {
  EngineOptions options;
  const ModelInfo info = small_model();
  const std::int64_t context = context_bytes(options, info);
  EXPECT_EQ(size_kv(options, info, context).max_model_len, 512);
  options.max_model_len = 1024;
  EXPECT_THROW(size_kv(options, info, context), Error);
  options.max_model_len = 256;
  EXPECT_EQ(size_kv(options, info, context).max_model_len, 256);
  options.max_model_len = 2048;
  EXPECT_THROW(size_kv(options, info, context), Error);
}

TEST(KvSizing, TakesTheBytesItIsGiven) {
  EngineOptions options;
  const ModelInfo info = small_model();
  options.kv_bytes = 2 * context_bytes(options, info);
  EXPECT_EQ(size_kv(options, info, 0).blocks, 2 * 1024 / 16);
  options.kv_bytes = 1;
  EXPECT_THROW(size_kv(options, info, 0), Error);
}

TEST(KvSizing, ReadsTheLimitsOfControlGroups) {
  const TemporaryFolder root;
  const auto write = [&](const char* path, const char* text) { root.write(path, text); };
  const std::string prefix = root.path().string() + "/";
  write("proc/meminfo", "MemTotal: 100 kB\nMemAvailable:   64 kB\n");
  EXPECT_EQ(available_memory(prefix), 64 * 1024);
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/b/memory.max", "max\n");
  write("sys/fs/cgroup/a/b/memory.current", "5000\n");
  EXPECT_EQ(available_memory(prefix), 64 * 1024);
  write("sys/fs/cgroup/a/memory.max", "20000\n");
  write("sys/fs/cgroup/a/memory.current", "15000\n");
  write("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 3000\n");
  EXPECT_EQ(available_memory(prefix), 8000);
  write("proc/self/cgroup", "5:memory:/c\n");
  write("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "9000\n");
  write("sys/fs/cgroup/memory/c/memory.usage_in_bytes", "2000\n");
  EXPECT_EQ(available_memory(prefix), 7000);
}

}  // namespace
}  // namespace tessera
