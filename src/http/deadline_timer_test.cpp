#include "http/deadline_timer.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace tessera::http {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Owner : std::enable_shared_from_this<Owner> {
  explicit Owner(asio::io_context& context) : deadline(context.get_executor(), *this) {}
  void on_deadline() {
    rang.push_back(Clock::now());
    if (again) deadline.set(*std::exchange(again, std::nullopt));
  }
  DeadlineTimer<Owner> deadline;
  std::optional<std::chrono::milliseconds> again;
  std::vector<Clock::time_point> rang;
};

struct DeadlineTimerTest : testing::Test {
  asio::io_context context;
  std::shared_ptr<Owner> owner = std::make_shared<Owner>(context);
  const Clock::time_point begin = Clock::now();

  void run() {
    context.restart();
    context.run_for(10s);
    EXPECT_TRUE(context.stopped()) << "something is still waited for";
  }
  // The moments of on_deadline() since the beginning.
  void expect_rings(std::vector<std::chrono::milliseconds> at_least) {
    run();
    ASSERT_EQ(owner->rang.size(), at_least.size());
    for (std::size_t i = 0; i < at_least.size(); ++i) {
      EXPECT_GE(owner->rang[i] - begin, at_least[i]) << i;
    }
  }
};

TEST_F(DeadlineTimerTest, RingsOnceAndMayBeSetAgainThen) {
  owner->again = 20ms;
  owner->deadline.set(20ms);
  expect_rings({20ms, 40ms});
}

TEST_F(DeadlineTimerTest, TheLastMomentCounts) {
  owner->deadline.set(10ms);
  owner->deadline.set(40ms);  // later: armed again when the first moment has come
  expect_rings({40ms});
}

TEST_F(DeadlineTimerTest, AnEarlierMomentDoesNotWaitForTheLaterOne) {
  owner->deadline.set(1h);
  owner->deadline.set(10ms);
  expect_rings({10ms});
}

TEST_F(DeadlineTimerTest, ClearedOrCancelledItIsSilent) {
  owner->deadline.set(10ms);
  owner->deadline.clear();
  expect_rings({});
  owner->deadline.set(1h);
  owner->deadline.cancel();
  expect_rings({});
}

TEST_F(DeadlineTimerTest, HoldsItsOwnerWhileArmed) {
  owner->deadline.set(1h);
  std::weak_ptr<Owner> weak = std::exchange(owner, nullptr);
  ASSERT_FALSE(weak.expired());
  weak.lock()->deadline.cancel();
  run();
  EXPECT_TRUE(weak.expired());
}

}  // namespace
}  // namespace tessera::http
