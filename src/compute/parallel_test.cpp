#include "compute/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace tessera {
namespace {

TEST(ThreadPool, RunsEveryChunkOnce) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int chunks : {0, 1, 2, 5, 64, 1000}) {
      std::vector<std::atomic<int>> seen(static_cast<std::size_t>(chunks));
      std::atomic<bool> bad_thread{false};
      pool.run(chunks, [&](int chunk, int thread) {
        seen[static_cast<std::size_t>(chunk)].fetch_add(1);
        if (thread < 0 || thread >= threads) bad_thread = true;
      });
      for (const auto& count : seen) EXPECT_EQ(count.load(), 1);
      EXPECT_FALSE(bad_thread);
    }
  }
}

TEST(ThreadPool, OneChunkStaysOnTheCaller) {
  ThreadPool pool(3);
  const auto caller = std::this_thread::get_id();
  std::thread::id ran;
  int thread = -1;
  pool.run(1, [&](int, int t) {
    ran = std::this_thread::get_id();
    thread = t;
  });
  EXPECT_EQ(ran, caller);
  EXPECT_EQ(thread, 0);
}

TEST(ThreadPool, ResultsAreVisibleAfterRunEvenWhenRunsFollowCloselyOrWorkersSleep) {
  ThreadPool pool(4);
  std::vector<int> values(16, 0);  // plain ints: the pool must order the accesses
  int expected = 0;
  for (int i = 0; i < 3000; ++i) {
    if (i % 1000 == 999) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    pool.run(16, [&](int chunk, int) { values[static_cast<std::size_t>(chunk)] += 1; });
    ++expected;
    for (int value : values) ASSERT_EQ(value, expected);
  }
}

TEST(ThreadPool, WorkersTakePart) {
  ThreadPool pool(2);
  std::atomic<int> inside{0};
  // Both chunks can only finish while the other one runs.
  pool.run(2, [&](int, int) {
    inside.fetch_add(1);
    while (inside.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(inside.load(), 2);
}

TEST(ThreadPool, ZeroMeansTheAvailableCores) {
  ThreadPool pool;
  EXPECT_GE(pool.threads(), 1);
}

}  // namespace
}  // namespace tessera
