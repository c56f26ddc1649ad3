#include "http/timeout.h"

#include "http/test_support.h"

namespace tessera::http {
namespace {

asio::awaitable<std::unique_ptr<int>> after(std::chrono::milliseconds time, int value) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
  co_return std::make_unique<int>(value);
}

asio::awaitable<void> fail() {
  throw Error(ErrorKind::kBadValue, "mine");
  co_return;
}

class Timeout : public testing::Test {
 protected:
  template <class T>
  T run(asio::awaitable<T> work) {
    return asio::co_spawn(asio::make_strand(pool_), std::move(work), asio::use_future).get();
  }
  asio::thread_pool pool_{1};
};

TEST_F(Timeout, ResultArrives) { EXPECT_EQ(*run(with_timeout(5s, after(1ms, 7), "x")), 7); }

TEST_F(Timeout, LimitPasses) {
  auto begin = std::chrono::steady_clock::now();
  try {
    run(with_timeout(30ms, after(5s, 7), "too slow"));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kDeadlineExceeded);
    EXPECT_EQ(error.message, "too slow");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
}

TEST_F(Timeout, FailureIsThrownAtOnce) {
  auto begin = std::chrono::steady_clock::now();
  try {
    run(with_timeout(5s, fail(), "x"));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.message, "mine");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
}

TEST_F(Timeout, NestedLimitsCancelTheWork) {
  try {
    run(with_timeout(30ms, with_timeout(5s, after(5s, 1), "inner"), "outer"));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.message, "outer");
  }
}

}  // namespace
}  // namespace tessera::http
