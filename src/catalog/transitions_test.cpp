// The rows of control-plane 6.1 and 6.2.
#include <gtest/gtest.h>

#include "base/error.h"
#include "catalog/endpoint.h"

namespace tessera::catalog {
namespace {

constexpr std::int64_t kDeadline = 60'000;

ServedEntity entity(std::string version, std::string id) {
  ServedEntity made;
  made.entity_name = "main.llm.m";
  made.entity_version = std::move(version);
  made.id = std::move(id);
  made.model_id = "m-" + made.entity_version;
  return made;
}

EndpointConfig config(std::vector<ServedEntity> entities) {
  EndpointConfig made;
  made.entities = std::move(entities);
  if (made.entities.size() > 1) {
    made.traffic.routes = {{default_entity_name(made.entities[0]), 100}};
  }
  complete_and_validate(made);
  return made;
}

void report(Endpoint& endpoint, std::string id, Deployment deployment, std::string message = "") {
  EntityReport fact{std::move(id), deployment, std::move(message), {}, std::nullopt};
  if (deployment == Deployment::kReady) fact.sockets = {fact.entity_id + ".sock"};
  apply(endpoint, fact);
}

std::string state(const Endpoint& endpoint) {
  std::string text = endpoint.ready() ? "READY" : "NOT_READY";
  text += ' ';
  text += to_string(endpoint.config_update);
  text += endpoint.active ? " config" : " -";
  text += endpoint.pending ? " pending" : " -";
  return text;
}

Endpoint serving() {
  Endpoint endpoint;
  endpoint.name = "e";
  begin_update(endpoint, config({entity("1", "id1")}), 1000);
  report(endpoint, "id1", Deployment::kReady);
  EXPECT_EQ(settle(endpoint, 1001, kDeadline), Settled::kPromoted);
  return endpoint;
}

TEST(Transitions, FirstRollOut) {
  Endpoint endpoint;
  endpoint.name = "e";
  EXPECT_EQ(state(endpoint), "NOT_READY NOT_UPDATING - -");
  begin_update(endpoint, config({entity("1", "id1"), entity("2", "id2")}), 1000);
  EXPECT_EQ(state(endpoint), "NOT_READY IN_PROGRESS - pending");
  EXPECT_EQ(endpoint.pending->config_version, 1);
  EXPECT_EQ(endpoint.pending->start_time_ms, 1000);
  report(endpoint, "id1", Deployment::kReady);
  EXPECT_EQ(settle(endpoint, 1001, kDeadline), Settled::kNothing);
  report(endpoint, "id2", Deployment::kReady);
  EXPECT_EQ(settle(endpoint, 1002, kDeadline), Settled::kPromoted);
  EXPECT_EQ(state(endpoint), "READY NOT_UPDATING config -");
  EXPECT_EQ(endpoint.active->config_version, 1);
  EXPECT_EQ(endpoint.task, Task::kChat);
}

TEST(Transitions, FirstRollOutFails) {
  Endpoint endpoint;
  begin_update(endpoint, config({entity("1", "id1"), entity("2", "id2")}), 1000);
  report(endpoint, "id1", Deployment::kReady);
  report(endpoint, "id2", Deployment::kFailed, "unsupported architecture");
  EXPECT_EQ(settle(endpoint, 1001, kDeadline), Settled::kFailed);
  EXPECT_EQ(state(endpoint), "NOT_READY UPDATE_FAILED - pending");
  EXPECT_EQ(endpoint.pending->entities[0].deployment, Deployment::kAborted);
  EXPECT_NE(endpoint.pending->entities[0].deployment_state_message.find("m-2"), std::string::npos);
  EXPECT_TRUE(endpoint.pending->entities[0].sockets.empty());
  EXPECT_EQ(endpoint.pending->entities[1].deployment_state_message, "unsupported architecture");
  // A late report about the failed config changes nothing.
  report(endpoint, "id1", Deployment::kReady);
  EXPECT_EQ(endpoint.pending->entities[0].deployment, Deployment::kAborted);
}

TEST(Transitions, RollOutWhileServingAndFailureLeavesTheActiveConfig) {
  Endpoint endpoint = serving();
  begin_update(endpoint, config({entity("2", "id2")}), 2000);
  EXPECT_EQ(state(endpoint), "READY IN_PROGRESS config pending");
  EXPECT_EQ(endpoint.pending->config_version, 2);
  report(endpoint, "id2", Deployment::kFailed, "boom");
  EXPECT_EQ(settle(endpoint, 2001, kDeadline), Settled::kFailed);
  EXPECT_EQ(state(endpoint), "READY UPDATE_FAILED config pending");
  EXPECT_EQ(endpoint.active->config_version, 1);
  // Failed versions count.
  begin_update(endpoint, config({entity("3", "id3")}), 3000);
  EXPECT_EQ(endpoint.pending->config_version, 3);
  report(endpoint, "id3", Deployment::kReady);
  EXPECT_EQ(settle(endpoint, 3001, kDeadline), Settled::kPromoted);
  EXPECT_EQ(state(endpoint), "READY NOT_UPDATING config -");
  EXPECT_EQ(endpoint.active->config_version, 3);
}

TEST(Transitions, DeadlineAborts) {
  Endpoint endpoint;
  begin_update(endpoint, config({entity("1", "id1")}), 1000);
  EXPECT_EQ(settle(endpoint, 1000 + kDeadline - 1, kDeadline), Settled::kNothing);
  EXPECT_EQ(settle(endpoint, 1000 + kDeadline, kDeadline), Settled::kFailed);
  EXPECT_EQ(endpoint.pending->entities[0].deployment, Deployment::kAborted);
  EXPECT_NE(endpoint.pending->entities[0].deployment_state_message.find("60 seconds"),
            std::string::npos);
}

TEST(Transitions, SecondUpdateConflicts) {
  Endpoint endpoint = serving();
  begin_update(endpoint, config({entity("2", "id2")}), 2000);
  for (auto act : {+[](Endpoint& e) { begin_update(e, EndpointConfig{}, 1); },
                   +[](Endpoint& e) { stop(e, 1); }, +[](Endpoint& e) { start(e, 1); },
                   +[](Endpoint& e) { clear_config(e, 1); }}) {
    try {
      act(endpoint);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kResourceConflict);
      EXPECT_NE(error.message.find("Endpoint served entities are currently being updated"),
                std::string::npos);
    }
  }
  EXPECT_EQ(endpoint.pending->config_version, 2);
}

TEST(Transitions, IdenticalEntitiesGoOnRunning) {
  Endpoint endpoint = serving();
  auto next = config({entity("1", "fresh"), entity("2", "id2")});
  next.entities[0].name = "renamed";
  next.traffic.routes = {{"renamed", 100}};
  begin_update(endpoint, std::move(next), 2000);
  EXPECT_EQ(endpoint.pending->entities[0].id, "id1");
  EXPECT_EQ(endpoint.pending->entities[0].deployment, Deployment::kReady);
  EXPECT_EQ(endpoint.pending->entities[0].sockets, std::vector<std::string>{"id1.sock"});
  EXPECT_EQ(endpoint.pending->entities[1].deployment, Deployment::kCreating);
  // A crash of the shared process is seen in both configs.
  report(endpoint, "id1", Deployment::kRecovering);
  EXPECT_EQ(endpoint.active->entities[0].deployment, Deployment::kRecovering);
  EXPECT_EQ(endpoint.pending->entities[0].deployment, Deployment::kRecovering);
}

TEST(Transitions, AnotherEnvironmentIsAnotherDeployment) {
  ServedEntity a = entity("1", "x"), b = entity("1", "y");
  EXPECT_TRUE(same_deployment(a, b));
  b.environment_vars["A"] = "1";
  EXPECT_FALSE(same_deployment(a, b));
}

TEST(Transitions, CrashAndRecovery) {
  Endpoint endpoint = serving();
  report(endpoint, "id1", Deployment::kRecovering, "killed by signal 9");
  EXPECT_EQ(state(endpoint), "NOT_READY NOT_UPDATING config -");
  report(endpoint, "id1", Deployment::kReady);
  EXPECT_EQ(state(endpoint), "READY NOT_UPDATING config -");
}

TEST(Transitions, Availability) {
  Endpoint endpoint;
  EXPECT_EQ(endpoint.availability(), Availability::kNeverReady);
  begin_update(endpoint, config({entity("1", "id1")}), 1000);
  EXPECT_EQ(endpoint.availability(), Availability::kCreating);
  report(endpoint, "id1", Deployment::kReady);
  settle(endpoint, 1001, kDeadline);
  EXPECT_EQ(endpoint.availability(), Availability::kServing);
  EXPECT_TRUE(endpoint.accepts_completions());
  report(endpoint, "id1", Deployment::kRecovering);
  EXPECT_EQ(endpoint.availability(), Availability::kUnhealthy);
  report(endpoint, "id1", Deployment::kFailed);
  EXPECT_EQ(endpoint.availability(), Availability::kNeverReady);
  stop(endpoint, 2000);
  EXPECT_EQ(endpoint.availability(), Availability::kStopped);
}

TEST(Transitions, CancelLeavesTheActiveConfig) {
  Endpoint endpoint = serving();
  EXPECT_THROW(cancel_update(endpoint), Error);
  begin_update(endpoint, config({entity("2", "id2")}), 2000);
  cancel_update(endpoint);
  EXPECT_EQ(state(endpoint), "READY UPDATE_CANCELED config -");
}

TEST(Transitions, StopAndStart) {
  Endpoint endpoint = serving();
  EXPECT_THROW(start(endpoint, 1), Error);
  stop(endpoint, 2000);
  EXPECT_TRUE(endpoint.suspended);
  EXPECT_EQ(state(endpoint), "NOT_READY NOT_UPDATING config -");
  EXPECT_THROW(stop(endpoint, 2001), Error);
  report(endpoint, "id1", Deployment::kReady);  // a late report does not wake it
  EXPECT_FALSE(endpoint.ready());
  start(endpoint, 3000);
  EXPECT_EQ(state(endpoint), "NOT_READY IN_PROGRESS config pending");
  EXPECT_EQ(endpoint.pending->config_version, 2);
  EXPECT_EQ(endpoint.pending->entities[0].deployment, Deployment::kCreating);
  report(endpoint, "id1", Deployment::kReady);
  EXPECT_EQ(settle(endpoint, 3001, kDeadline), Settled::kPromoted);
  EXPECT_EQ(state(endpoint), "READY NOT_UPDATING config -");
}

TEST(Transitions, ExternalEndpointsNeedNoResources) {
  ServedEntity external;
  external.kind = EntityKind::kExternalModel;
  external.external_model =
      ExternalModel{"openai", "gpt", Task::kChat, {}, {{"openai_api_key", {.value = "k"}}}};
  Endpoint endpoint;
  begin_update(endpoint, config({external}), 1000);
  EXPECT_EQ(settle(endpoint, 1000, kDeadline), Settled::kPromoted);
  EXPECT_TRUE(endpoint.ready());
  EXPECT_EQ(endpoint.endpoint_type(), "EXTERNAL_MODEL");
  EXPECT_FALSE(endpoint.accepts_completions());
  EXPECT_THROW(stop(endpoint, 1), Error);
}

TEST(Transitions, ClearConfigLeavesAnEmptyEndpoint) {
  Endpoint endpoint = serving();
  clear_config(endpoint, 2000);
  EXPECT_EQ(state(endpoint), "NOT_READY NOT_UPDATING - -");
  EXPECT_EQ(endpoint.last_config_version, 1);
}

}  // namespace
}  // namespace tessera::catalog
