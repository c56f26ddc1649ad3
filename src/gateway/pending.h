// Work that goes on while its owner waits for it in slices. All on the owner's strand.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>

namespace tessera::gateway {

namespace asio = boost::asio;

template <class T>
class Pending {
 public:
  // Starts at once. `work` owns all that it touches: it may unwind after its owner is gone.
  Pending(const asio::any_io_executor& strand, asio::awaitable<T> work)
      : state_(std::make_shared<State>(strand)) {
    asio::co_spawn(strand, run(state_, std::move(work)),
                   asio::bind_cancellation_slot(state_->cancel.slot(), asio::detached));
  }
  Pending(Pending&&) noexcept = default;
  ~Pending() {  // cancels what is not done
    if (!state_ || state_->done) return;
    const auto executor = state_->timer.get_executor();
    asio::dispatch(executor, [state = std::move(state_)] {
      state->cancel.emit(asio::cancellation_type::terminal);
    });
  }

  // True once the work is done, however it ended. Cancelling the caller ends the wait.
  asio::awaitable<bool> wait_for(std::chrono::milliseconds limit) {
    const auto state = state_;
    if (state->done) co_return true;
    state->timer.expires_after(limit);
    boost::system::error_code error;
    co_await state->timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (!state->done && error) throw boost::system::system_error(error);
    co_return state->done;
  }

  // Waits to the end; throws what the work threw. Once.
  asio::awaitable<T> get() {
    const auto state = state_;
    while (!state->done) co_await wait_for(std::chrono::hours(24));
    if (state->failure) std::rethrow_exception(state->failure);
    co_return std::move(*state->result);
  }

 private:
  struct State {
    explicit State(const asio::any_io_executor& strand) : timer(strand) {}
    asio::steady_timer timer;
    asio::cancellation_signal cancel;
    bool done = false;
    std::exception_ptr failure;
    std::optional<T> result;
  };

  static asio::awaitable<void> run(std::shared_ptr<State> state, asio::awaitable<T> work) {
    try {
      state->result.emplace(co_await std::move(work));
    } catch (...) {
      state->failure = std::current_exception();
    }
    state->done = true;
    state->timer.cancel();
  }

  std::shared_ptr<State> state_;
};

}  // namespace tessera::gateway
