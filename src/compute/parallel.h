// Fork-join over the compute threads. One of the two files with raw threads (STYLE 7).
//
// Owned by whoever owns a model; run() may be called from one thread at a time, the caller works
// too. Workers spin for a bounded time between runs, then sleep, so an idle process costs nothing
// and HTTP work on the same cores is not starved.
#pragma once

#include <memory>
#include <type_traits>

namespace tessera {

class ThreadPool {
 public:
  // threads >= 1, the caller included; 0 means one per available core.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(chunk, thread) for every chunk in [0, chunks), chunks handed out by an atomic
  // counter; returns when all are done. body must not throw and must not call run() again.
  template <class F>
  void run(int chunks, const F& body) {
    run_erased(chunks, [](const void* f, int chunk, int thread) {
      (*static_cast<const F*>(f))(chunk, thread);
    }, &body);
  }

 private:
  using Call = void (*)(const void*, int, int);
  void run_erased(int chunks, Call call, const void* body);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera
