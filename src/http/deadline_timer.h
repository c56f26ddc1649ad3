// A timer for deadlines that move often: armed at most once per timeout and not once per change,
// because it looks at the deadline only when it goes off.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace tessera::http {

namespace asio = boost::asio;

// A member of its Owner, which is held by shared pointers and has on_deadline(). Everything on the
// Owner's strand; the Owner lives on while the timer is armed.
template <class Owner>
class DeadlineTimer {
 public:
  DeadlineTimer(const asio::any_io_executor& executor, Owner& owner)
      : timer_(executor), owner_(owner) {}

  // Calls on_deadline() once, after `limit`, unless another set(), clear() or cancel() comes first.
  void set(std::chrono::milliseconds limit) {
    deadline_ = Clock::now() + limit;
    if (!armed_ || deadline_ < armed_until_) arm();
  }
  void clear() { deadline_ = kNever; }
  // Lets the Owner go, too.
  void cancel() {
    timer_.cancel();
    armed_ = false;
    deadline_ = kNever;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::time_point kNever = Clock::time_point::max();

  void arm() {
    armed_ = true;
    armed_until_ = deadline_;
    timer_.expires_at(deadline_);
    timer_.async_wait(
        [this, owner = owner_.shared_from_this()](const boost::system::error_code& error) {
          if (error) return;  // re-armed for earlier, or cancelled
          armed_ = false;
          if (deadline_ == kNever) return;
          if (Clock::now() < deadline_) {
            arm();
          } else {
            deadline_ = kNever;
            owner->on_deadline();
          }
        });
  }

  asio::steady_timer timer_;
  Owner& owner_;
  Clock::time_point deadline_ = kNever;
  Clock::time_point armed_until_ = kNever;
  bool armed_ = false;
};

}  // namespace tessera::http
