// Where blocking work of the control plane runs: one thread, so what is posted runs in order and
// never at the same time. The endpoint table and the database belong to it.
#pragma once

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <type_traits>
#include <utility>

namespace tessera::control {

namespace asio = boost::asio;

class ControlThread {
 public:
  // Management gives way to serving: where both want a core, requests come first, and a thread of
  // SCHED_BATCH does not push another off its core by waking up. (Linux keeps both per thread.)
  ControlThread() {
    post([] {
      ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
      const sched_param none{};
      ::sched_setscheduler(0, SCHED_BATCH, &none);
    });
  }

  // Runs `work` there and resumes the caller on its own executor; exceptions travel along. `work`
  // may refer to the caller's frame, which waits.
  template <class F>
  asio::awaitable<std::invoke_result_t<F&>> run(F work) {
    co_return co_await asio::co_spawn(pool_, call(std::move(work)), asio::use_awaitable);
  }
  template <class F>
  void post(F work) {
    asio::post(pool_, std::move(work));
  }
  void join() { pool_.join(); }  // after everything posted so far

 private:
  template <class F>
  static asio::awaitable<std::invoke_result_t<F&>> call(F work) {
    co_return work();
  }

  static constexpr int kNice = 5;

  asio::thread_pool pool_{1};
};

}  // namespace tessera::control
