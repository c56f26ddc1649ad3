#include "compute/parallel.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace tessera {
namespace {

// Long enough to bridge the serial pieces between two parallel regions of one forward pass, short
// enough that the reactor gets the core back as soon as the engine rests.
constexpr auto kSpin = std::chrono::microseconds(40);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int available_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n == 0 ? 1 : static_cast<int>(n);
}

}  // namespace

// A job is published by one store to `ticket` = epoch << 32 | chunks not yet claimed. A claim is a
// compare-exchange on the same word, so a worker that comes late can never claim a chunk of a job
// other than the one it looked at, and the caller need not wait for workers that claimed nothing.
struct ThreadPool::State {
  alignas(64) std::atomic<std::uint64_t> ticket{0};
  alignas(64) std::atomic<int> done{0};
  alignas(64) std::atomic<std::uint32_t> epoch{0};  // what sleepers wait on
  std::atomic<bool> stop{false};
  Call call = nullptr;
  const void* body = nullptr;
  int chunks = 0;
  std::vector<std::thread> workers;

  void work(int thread) {
    std::uint64_t seen = ticket.load(std::memory_order_acquire);
    while ((seen & 0xffffffffu) != 0) {
      if (!ticket.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
        continue;
      }
      // Holding an unfinished chunk keeps the job, hence these fields, in place.
      const int chunk = chunks - static_cast<int>(seen & 0xffffffffu);
      call(body, chunk, thread);
      done.fetch_add(1, std::memory_order_release);
      seen = ticket.load(std::memory_order_acquire);
    }
  }

  void serve(int thread) {
    std::uint32_t last = 0;
    for (;;) {
      const auto deadline = std::chrono::steady_clock::now() + kSpin;
      while (epoch.load(std::memory_order_acquire) == last) {
        for (int i = 0; i < 32 && epoch.load(std::memory_order_relaxed) == last; ++i) relax();
        if (std::chrono::steady_clock::now() > deadline) {
          epoch.wait(last, std::memory_order_acquire);
        }
      }
      last = epoch.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      work(thread);
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  if (threads <= 0) threads = available_cores();
  for (int i = 1; i < threads; ++i) {
    state_->workers.emplace_back([state = state_.get(), i] { state->serve(i); });
  }
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_release);
  state_->epoch.fetch_add(1, std::memory_order_seq_cst);
  state_->epoch.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::run_erased(int chunks, Call call, const void* body) {
  State& s = *state_;
  if (chunks <= 1 || s.workers.empty()) {
    for (int chunk = 0; chunk < chunks; ++chunk) call(body, chunk, 0);
    return;
  }
  s.call = call;
  s.body = body;
  s.chunks = chunks;
  s.done.store(0, std::memory_order_relaxed);
  const std::uint32_t next = s.epoch.load(std::memory_order_relaxed) + 1;
  s.ticket.store(static_cast<std::uint64_t>(next) << 32 | static_cast<std::uint32_t>(chunks),
                 std::memory_order_release);
  s.epoch.store(next, std::memory_order_seq_cst);  // ordered before the look for sleepers
  s.epoch.notify_all();                            // a load and a branch when nobody sleeps
  s.work(0);
  for (int spins = 0; s.done.load(std::memory_order_acquire) != chunks; ++spins) {
    if (spins < 4096) {
      relax();
    } else {
      std::this_thread::yield();  // the core of a worker was taken away
    }
  }
}

}  // namespace tessera
