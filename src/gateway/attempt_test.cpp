#include "gateway/attempt.h"

#include "gateway/gateway_fixture.h"

namespace tessera::gateway {
namespace {

class AttemptTest : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    entities_ = {entity("a", {a_->socket()}), entity("b", {b_->socket()}),
                 entity("none", {(folder_ / "none.sock").string()})};
  }

  // The name of the entity that answered, or the status of the error. (No exception may cross a
  // future: thread sanitizer cannot see libstdc++ count the references to it.)
  asio::awaitable<std::string> run(std::string text, std::vector<int> order, bool stream) {
    const TaskRequest request = api::parse_chat_request(
        api::Body(say(text, stream ? R"("stream":true)" : "")), api::ParseOptions());
    http::Request http_request;
    EndpointMetrics metrics(metrics_);
    Credentials credentials(*client_);
    UsageMeter meter(sink_, metrics, http_request, "me");
    Attempt plan{.request = [&request]() -> const TaskRequest& { return request; },
                 .fallback_model = "m",
                 .stream = stream,
                 .time_limit = time_limit_,
                 .max_response_bytes = 1u << 20};
    for (const int i : order) plan.order.push_back(&entities_.at(i));
    try {
      const Answer answer = co_await attempt(*client_, credentials, meter, std::move(plan));
      co_return answer.entity->name;
    } catch (const Error& error) {
      co_return std::to_string(http_status(error.kind));
    }
  }
  std::string outcome(const std::string& text, std::vector<int> order, bool stream = false) {
    return asio::co_spawn(asio::make_strand(pool_), run(text, std::move(order), stream),
                          asio::use_future)
        .get();
  }

  std::vector<catalog::ServedEntity> entities_;
  UsageSink sink_;
  std::chrono::milliseconds time_limit_{20'000};
};

TEST_F(AttemptTest, TheFirstThatAnswers) {
  EXPECT_EQ(outcome("hello", {0, 1}), "a");
  EXPECT_EQ(outcome("A only: status 503", {0, 1}), "b");
  EXPECT_EQ(outcome("A only: status 500", {0, 1}), "b");
  EXPECT_EQ(outcome("A only: status 429", {0, 1}), "b");
  EXPECT_EQ(outcome("hello", {2, 1}), "b");
  EXPECT_EQ(outcome("A only: status 503", {0, 1}, true), "b");
}

TEST_F(AttemptTest, NoOtherTryForTheClientsMistakes) {
  EXPECT_EQ(outcome("A only: status 400", {0, 1}), "400");
  EXPECT_EQ(b_->served(), 0);
}

TEST_F(AttemptTest, TheLastErrorIsTold) {
  EXPECT_EQ(outcome("A only: status 429", {0, 2}), "503");
  EXPECT_EQ(outcome("status 429", {2, 0}), "429");
  EXPECT_EQ(outcome("status 500", {0}), "500");
}

TEST_F(AttemptTest, NotWithoutTimeForAnother) {
  time_limit_ = 4'000ms;
  EXPECT_EQ(outcome("A only: status 503", {0, 1}), "503");
}

TEST_F(AttemptTest, TheUsageRowNamesWhoAnswered) {
  sink_ = [this](catalog::UsageRecord record) {
    std::lock_guard lock(mutex_);
    records_.push_back(std::move(record));
    recorded_.notify_all();
  };
  EXPECT_EQ(outcome("A only: status 503", {0, 1}), "b");
  EXPECT_EQ(record().served_entity_name, "b");
}

}  // namespace
}  // namespace tessera::gateway
