// Boost 1.81 has no cancel_after: run an awaitable under a deadline.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <string>
#include <tuple>
#include <type_traits>

#include "base/error.h"

namespace tessera::http {

namespace asio = boost::asio;

// Cancels `work` when `limit` passes and throws Error(kDeadlineExceeded, what); waits until `work`
// has unwound. What `work` throws is thrown at once (the || of awaitable_operators would first wait
// for the timer). Cancelling the caller cancels `work`.
template <class T>
asio::awaitable<T> with_timeout(std::chrono::milliseconds limit, asio::awaitable<T> work,
                                std::string what) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, limit);
  auto outcome = co_await asio::experimental::make_parallel_group(
                     asio::co_spawn(executor, std::move(work), asio::deferred),
                     timer.async_wait(asio::deferred))
                     .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  // (order of completion, exception of work, [result of work,] error of timer)
  std::exception_ptr failure = std::get<1>(outcome);
  bool timer_first = std::get<0>(outcome)[0] == 1;
  bool timer_expired = !std::get<std::tuple_size_v<decltype(outcome)> - 1>(outcome);
  if (timer_first && timer_expired && failure) {
    throw Error(ErrorKind::kDeadlineExceeded, std::move(what));
  }
  if (failure) std::rethrow_exception(failure);
  if constexpr (!std::is_void_v<T>) co_return std::get<2>(std::move(outcome));
}

}  // namespace tessera::http
