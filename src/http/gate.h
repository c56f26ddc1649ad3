// Where one coroutine waits until a callback on the same strand lets it go on. Open once per wait.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

namespace tessera::http {

namespace asio = boost::asio;

class Gate {
 public:
  // Check the condition before waiting and after: the gate does not remember an early open().
  asio::awaitable<void> wait() {
    return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [this](auto handler) {
          waiter_ = std::make_unique<Waiter<decltype(handler)>>(std::move(handler));
        },
        asio::use_awaitable);
  }

  void open() {
    if (auto waiter = std::move(waiter_)) waiter->resume();
  }

 private:
  struct AnyWaiter {
    virtual ~AnyWaiter() = default;
    virtual void resume() = 0;
  };
  template <class Handler>
  struct Waiter : AnyWaiter {
    explicit Waiter(Handler handler) : handler(std::move(handler)) {}
    void resume() override { std::move(handler)(); }
    Handler handler;
  };
  std::unique_ptr<AnyWaiter> waiter_;
};

}  // namespace tessera::http
