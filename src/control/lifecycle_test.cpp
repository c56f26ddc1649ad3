// Endpoints with (fake) processes behind them: control-plane 6 from outside.
#include <gtest/gtest.h>

#include <csignal>

#include "control/test_support.h"
#include "store/usage_store.h"

namespace tessera::control {
namespace {

const std::string kAll = "/api/2.0/serving-endpoints";

class LifecycleTest : public ::testing::Test {
 protected:
  void SetUp() override { plane_ = std::make_unique<Plane>(folder_.path()); }
  Reply create(const std::string& name, const std::string& entities, const std::string& more = "") {
    return plane_->call("POST", kAll, create_json(name, entities, more));
  }
  TemporaryFolder folder_;
  std::unique_ptr<Plane> plane_;
};

TEST_F(LifecycleTest, CreateWaitGetDelete) {
  plane_->register_model("chat", "slow=100");
  Reply created = create("demo", entity_json("chat", "1", R"(,"min_provisioned_throughput":0,
      "max_provisioned_throughput":980,"scale_to_zero_enabled":true)"));
  ASSERT_EQ(created.status, 200) << created.text;
  EXPECT_EQ(created.at("/name"), "demo");
  EXPECT_EQ(created.at("/id").as_string().size(), 32u);
  EXPECT_EQ(created.at("/state/ready"), "NOT_READY");
  EXPECT_EQ(created.at("/state/config_update"), "IN_PROGRESS");
  EXPECT_EQ(created.at("/state/suspend"), "NOT_SUSPENDED");
  EXPECT_FALSE(created.body.contains("config"));
  EXPECT_EQ(created.at("/pending_config/config_version"), 1);
  EXPECT_EQ(created.at("/pending_config/served_entities/0/name"), "chat-1");
  EXPECT_EQ(created.at("/pending_config/served_entities/0/state/deployment"),
            "DEPLOYMENT_CREATING");
  EXPECT_EQ(created.at("/pending_config/served_entities/0/max_provisioned_throughput"), 980);
  EXPECT_EQ(created.at("/pending_config/served_models/0/model_name"), "main.llm.chat");
  EXPECT_EQ(created.at("/pending_config/traffic_config/routes/0/traffic_percentage"), 100);
  EXPECT_EQ(created.at("/pending_config/traffic_config/routes/0/served_model_name"), "chat-1");
  EXPECT_EQ(created.at("/task"), "llm/v1/chat");
  EXPECT_EQ(created.at("/permission_level"), "CAN_MANAGE");
  EXPECT_EQ(created.at("/endpoint_type"), "PROVISIONED_THROUGHPUT");
  EXPECT_EQ(created.at("/creator"), "admin");

  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  Reply got = plane_->endpoint("demo");
  EXPECT_EQ(got.at("/config/config_version"), 1);
  EXPECT_FALSE(got.body.contains("pending_config"));
  EXPECT_EQ(got.at("/config/served_entities/0/state/deployment"), "DEPLOYMENT_READY");
  const auto* endpoint = plane_->find("demo");
  ASSERT_EQ(endpoint->active->entities[0].sockets.size(), 1u);
  EXPECT_TRUE(plane_->control().ready());

  EXPECT_EQ(create("demo", entity_json("chat", "1")).code(), "RESOURCE_ALREADY_EXISTS");
  EXPECT_EQ(plane_->call("DELETE", kAll + "/demo").text, "{}");
  EXPECT_EQ(plane_->endpoint("demo").code(), "RESOURCE_DOES_NOT_EXIST");
  EXPECT_EQ(create("demo", entity_json("chat", "1")).status, 200);  // reusable at once
}

TEST_F(LifecycleTest, FailedFirstRollOutSaysWhy) {
  plane_->register_model("bad", "fail");
  ASSERT_EQ(create("demo", entity_json("bad", "1")).status, 200);
  ASSERT_TRUE(plane_->wait_state("demo", "NOT_READY", "UPDATE_FAILED"));
  Reply got = plane_->endpoint("demo");
  EXPECT_FALSE(got.body.contains("config"));
  EXPECT_EQ(got.at("/pending_config/served_entities/0/state/deployment"), "DEPLOYMENT_FAILED");
  EXPECT_EQ(got.at("/pending_config/served_entities/0/state/deployment_state_message"),
            "The worker exited with code 3: unsupported architecture 'nonsense'");
  Reply logs = plane_->call("GET", kAll + "/demo/served-models/bad-1/logs");
  EXPECT_NE(std::string(logs.at("/logs").as_string()).find("unsupported architecture"),
            std::string::npos);
}

TEST_F(LifecycleTest, UpdateKeepsServingAndSwitchesAtOnce) {
  plane_->register_model("chat", "");
  plane_->register_model("chat", "slow=300");  // version 2; the file is shared
  ASSERT_EQ(create("demo", entity_json("chat", "1")).status, 200);
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  const std::string old_socket = plane_->find("demo")->active->entities[0].sockets[0];

  Reply updated = plane_->call("PUT", kAll + "/demo/config",
                               R"({"served_entities":[)" + entity_json("chat", "2") + "]}");
  ASSERT_EQ(updated.status, 200) << updated.text;
  EXPECT_EQ(updated.at("/state/ready"), "READY");
  EXPECT_EQ(updated.at("/state/config_update"), "IN_PROGRESS");
  EXPECT_EQ(updated.at("/config/config_version"), 1);
  EXPECT_EQ(updated.at("/pending_config/config_version"), 2);

  Reply second = plane_->call("PUT", kAll + "/demo/config",
                              R"({"served_entities":[)" + entity_json("chat", "1") + "]}");
  EXPECT_EQ(second.status, 409);
  EXPECT_EQ(second.code(), "RESOURCE_CONFLICT");
  EXPECT_NE(second.message().find("Endpoint served entities are currently being updated"),
            std::string::npos);
  EXPECT_EQ(plane_->call("POST", kAll + "/demo/config:stop").status, 409);
  EXPECT_EQ(plane_->call("PATCH", kAll + "/demo/notifications", "{}").status, 200);

  // At no time is the endpoint without a socket.
  ASSERT_TRUE(eventually([&] {
    const auto* endpoint = plane_->find("demo");
    EXPECT_EQ(endpoint->availability(), catalog::Availability::kServing);
    return endpoint->config_update == catalog::ConfigUpdate::kNotUpdating;
  }));
  const auto* endpoint = plane_->find("demo");
  EXPECT_EQ(endpoint->active->config_version, 2);
  EXPECT_NE(endpoint->active->entities[0].sockets[0], old_socket);
  EXPECT_TRUE(eventually([&] { return !fs::exists(old_socket); }));  // the old worker is gone
}

TEST_F(LifecycleTest, FailedUpdateLeavesTheOldConfig) {
  plane_->register_model("chat", "");
  plane_->register_model("bad", "fail");
  ASSERT_EQ(create("demo", entity_json("chat", "1")).status, 200);
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  const std::string socket = plane_->find("demo")->active->entities[0].sockets[0];
  ASSERT_EQ(plane_
                ->call("PUT", kAll + "/demo/config",
                       R"({"served_entities":[)" + entity_json("chat", "1") + "," +
                           entity_json("bad", "1") +
                           R"(],"traffic_config":{"routes":[
                           {"served_model_name":"chat-1","traffic_percentage":50},
                           {"served_entity_name":"bad-1","traffic_percentage":50}]}})")
                .status,
            200);
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "UPDATE_FAILED"));
  const auto* endpoint = plane_->find("demo");
  EXPECT_EQ(endpoint->active->config_version, 1);
  EXPECT_EQ(endpoint->active->entities[0].sockets[0], socket);
  EXPECT_TRUE(fs::exists(socket));  // the shared worker runs on
  // The next number, and traffic alone needs no new process.
  ASSERT_EQ(plane_
                ->call("PUT", kAll + "/demo/config",
                       R"({"traffic_config":{"routes":[
                           {"served_entity_name":"chat-1","traffic_percentage":100}]}})")
                .at("/pending_config/config_version"),
            3);
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  EXPECT_EQ(plane_->find("demo")->active->entities[0].sockets[0], socket);
}

TEST_F(LifecycleTest, KilledWorkerIsSeenAndComesBack) {
  plane_->register_model("chat", "slow=50");
  ASSERT_EQ(create("demo", entity_json("chat", "1")).status, 200);
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  const std::string socket = plane_->find("demo")->active->entities[0].sockets[0];
  // The worker's pid, by the socket in its command line.
  pid_t pid = 0;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    const std::string line((std::istreambuf_iterator<char>(file)), {});
    if (line.find(socket) != std::string::npos) pid = std::stoi(entry.path().filename());
  }
  ASSERT_GT(pid, 0);
  ::kill(pid, SIGKILL);
  ASSERT_TRUE(plane_->wait_state("demo", "NOT_READY", "NOT_UPDATING"));
  Reply got = plane_->endpoint("demo");
  if (got.at("/state/ready") == "NOT_READY") {  // unless it is back already
    EXPECT_EQ(got.at("/config/served_entities/0/state/deployment"), "DEPLOYMENT_RECOVERING");
  }
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  EXPECT_NE(plane_->find("demo")->active->entities[0].sockets[0], socket);
}

TEST_F(LifecycleTest, StopAndStart) {
  plane_->register_model("chat", "");
  ASSERT_EQ(create("demo", entity_json("chat", "1")).status, 200);
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  const std::string socket = plane_->find("demo")->active->entities[0].sockets[0];
  Reply stopped = plane_->call("POST", kAll + "/demo/config:stop");
  EXPECT_EQ(stopped.at("/state/suspend"), "SUSPENDED");
  EXPECT_EQ(stopped.at("/state/ready"), "NOT_READY");
  EXPECT_EQ(stopped.at("/state/config_update"), "NOT_UPDATING");
  EXPECT_TRUE(eventually([&] { return !fs::exists(socket); }));
  EXPECT_EQ(plane_->call("POST", kAll + "/demo/config:stop").code(), "INVALID_STATE");
  EXPECT_EQ(plane_->find("demo")->availability(), catalog::Availability::kStopped);
  EXPECT_EQ(plane_->call("POST", kAll + "/demo/config:start").at("/state/config_update"),
            "IN_PROGRESS");
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  EXPECT_EQ(plane_->endpoint("demo").at("/config/config_version"), 2);
}

TEST_F(LifecycleTest, EmptyEndpointAndDroppedConfig) {
  plane_->register_model("chat", "");
  Reply created = plane_->call("POST", kAll, R"({"name":"empty"})");
  EXPECT_EQ(created.at("/state/config_update"), "NOT_UPDATING");
  EXPECT_EQ(created.at("/state/ready"), "NOT_READY");
  EXPECT_FALSE(created.body.contains("config"));
  ASSERT_EQ(plane_
                ->call("PUT", kAll + "/empty/config",
                       R"({"served_models":[{"model_name":"main.llm.chat","model_version":1,
                       "scale_to_zero_enabled":false,"workload_size":"Small"}]})")
                .status,
            200);
  ASSERT_TRUE(plane_->wait_state("empty", "READY", "NOT_UPDATING"));
  EXPECT_EQ(plane_->call("PUT", kAll + "/empty/config", "{}").body.contains("config"), false);
  EXPECT_EQ(plane_->endpoint("empty").at("/state/ready"), "NOT_READY");
}

TEST_F(LifecycleTest, EverythingIsBackAfterARestart) {
  plane_->register_model("chat", "");
  plane_->register_model("bad", "fail");
  ASSERT_EQ(create("demo", entity_json("chat", "1"), R"(,"tags":[{"key":"a","value":"b"}])").status,
            200);
  ASSERT_EQ(create("stopped", entity_json("chat", "1")).status, 200);
  ASSERT_EQ(create("failed", entity_json("bad", "1")).status, 200);
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  ASSERT_TRUE(plane_->wait_state("stopped", "READY", "NOT_UPDATING"));
  ASSERT_TRUE(plane_->wait_state("failed", "NOT_READY", "UPDATE_FAILED"));
  plane_->call("POST", kAll + "/stopped/config:stop");
  const std::string id(plane_->endpoint("demo").at("/id").as_string());
  plane_.reset();
  plane_ = std::make_unique<Plane>(folder_.path());
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  EXPECT_EQ(plane_->endpoint("demo").at("/id"), id);
  EXPECT_EQ(plane_->endpoint("demo").at("/tags/0/key"), "a");
  EXPECT_EQ(plane_->endpoint("stopped").at("/state/suspend"), "SUSPENDED");
  EXPECT_EQ(plane_->endpoint("failed").at("/state/config_update"), "UPDATE_FAILED");
}

TEST_F(LifecycleTest, DeadlineFailsTheUpdate) {
  plane_.reset();
  Plane::update_deadline = std::chrono::milliseconds(300);
  plane_ = std::make_unique<Plane>(folder_.path());
  Plane::update_deadline = std::chrono::minutes(60);
  plane_->register_model("deaf", "deaf");
  ASSERT_EQ(create("demo", entity_json("deaf", "1")).status, 200);
  ASSERT_TRUE(plane_->wait_state("demo", "NOT_READY", "UPDATE_FAILED"));
  EXPECT_EQ(plane_->endpoint("demo").at("/pending_config/served_entities/0/state/deployment"),
            "DEPLOYMENT_ABORTED");
}

TEST_F(LifecycleTest, MetricsAndUsageRows) {
  plane_->register_model("chat", "");
  ASSERT_EQ(create("demo", entity_json("chat", "1")).status, 200);
  EXPECT_EQ(plane_->call("GET", kAll + "/demo/openapi").code(), "INVALID_STATE");
  ASSERT_TRUE(plane_->wait_state("demo", "READY", "NOT_UPDATING"));
  catalog::UsageRecord record;
  record.request_id = "r";
  record.endpoint_name = "demo";
  record.served_entity_name = "chat-1";
  record.status_code = 503;
  record.latency_ms = 7;
  plane_->control().record_usage(std::move(record));
  Reply metrics = plane_->call("GET", kAll + "/demo/metrics");
  EXPECT_TRUE(metrics.headers.get("content-type")->starts_with("text/plain"));
  const std::string labels =
      R"({endpoint_name="demo",served_entity_name="chat-1",config_version="1"})";
  EXPECT_NE(metrics.text.find("request_count_total" + labels + " 1"), std::string::npos)
      << metrics.text;
  EXPECT_NE(metrics.text.find("request_5xx_count_total" + labels + " 1"), std::string::npos);
  EXPECT_NE(metrics.text.find("mem_usage_percentage" + labels), std::string::npos);
  Reply open = plane_->call("GET", kAll + "/demo/metrics", "", {},
                            {{"Accept", "application/openmetrics-text"}});
  EXPECT_TRUE(open.text.ends_with("# EOF\n"));

  Reply document = plane_->call("GET", kAll + "/demo/openapi");
  EXPECT_EQ(document.at("/openapi"), "3.1.0");
  EXPECT_EQ(document.at("/info/title"), "demo");
  EXPECT_EQ(document.at("/servers/0/url"), "http://127.0.0.1:8080/serving-endpoints/demo");
  EXPECT_EQ(document.at("/paths/~1served-models~1chat-1~1invocations/post/requestBody/content/"
                        "application~1json/schema/required/0"),
            "messages");
  // Stopping writes what is left.
  fs::path data = folder_.path() / "data";
  plane_.reset();
  store::Database database({data / "tessera.db"});
  EXPECT_EQ(store::UsageStore(database).recent("demo", 10).size(), 1u);
}

}  // namespace
}  // namespace tessera::control
