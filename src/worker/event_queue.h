// From the engine thread to a coroutine: events go in without waiting, and come out together.
//
// One consumer, on the strand of `executor`; producers on any thread. The queue outlives both sides
// as long as either holds it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

namespace tessera {

namespace asio = boost::asio;

template <class Event>
class EventQueue : public std::enable_shared_from_this<EventQueue<Event>> {
 public:
  using Clock = std::chrono::steady_clock;

  explicit EventQueue(asio::any_io_executor executor) : executor_(executor), timer_(executor) {}

  void push(Event event) {
    {
      std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
      if (!is_waiting_) return;
      is_waiting_ = false;
    }
    asio::post(executor_, [self = this->shared_from_this()] { self->timer_.cancel(); });
  }

  // All events since the last call; waits for the first of them. Empty when `deadline` passes.
  // Throws boost::system::system_error when the coroutine is cancelled.
  asio::awaitable<std::vector<Event>> pop(Clock::time_point deadline) {
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    while (true) {
      {
        std::lock_guard lock(mutex_);
        if (!events_.empty()) co_return std::exchange(events_, {});
        is_waiting_ = Clock::now() < deadline;
        if (!is_waiting_) co_return std::vector<Event>();
      }
      timer_.expires_at(deadline);
      boost::system::error_code ignored;
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (cancellation.cancelled() != asio::cancellation_type::none) {
        throw boost::system::system_error(asio::error::operation_aborted);
      }
    }
  }

 private:
  asio::any_io_executor executor_;
  asio::steady_timer timer_;  // consumer only
  std::mutex mutex_;          // guards the two below
  std::vector<Event> events_;
  bool is_waiting_ = false;
};

}  // namespace tessera
