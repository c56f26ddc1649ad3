// Boost 1.81 has no cancel_after: run an awaitable under a deadline.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <string>
#include <variant>

#include "base/error.h"

namespace tessera::http {

namespace asio = boost::asio;

// Cancels `work` when `limit` passes and throws Error(kDeadlineExceeded, what).
template <class T>
asio::awaitable<T> with_timeout(std::chrono::milliseconds limit, asio::awaitable<T> work,
                                std::string what) {
  using namespace asio::experimental::awaitable_operators;
  asio::steady_timer timer(co_await asio::this_coro::executor, limit);
  auto outcome = co_await (std::move(work) || timer.async_wait(asio::use_awaitable));
  if (outcome.index() == 1) throw Error(ErrorKind::kDeadlineExceeded, std::move(what));
  if constexpr (!std::is_void_v<T>) co_return std::get<0>(std::move(outcome));
}

}  // namespace tessera::http
