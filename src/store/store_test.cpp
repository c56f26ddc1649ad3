#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "store/endpoint_document.h"
#include "store/endpoint_store.h"
#include "store/model_store.h"
#include "store/principal_store.h"
#include "store/secret_store.h"
#include "store/usage_store.h"

namespace tessera::store {
namespace {

using namespace catalog;
namespace fs = std::filesystem;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tessera_store_XXXXXX";
    folder_ = ::mkdtemp(name);
    database_ = std::make_unique<Database>(DatabaseOptions{folder_ / "tessera.db"});
  }
  void TearDown() override {
    database_.reset();
    fs::remove_all(folder_);
  }
  void reopen() {
    database_.reset();
    database_ = std::make_unique<Database>(DatabaseOptions{folder_ / "tessera.db"});
  }

  fs::path folder_;
  std::unique_ptr<Database> database_;
};

template <class F>
std::optional<ErrorKind> error_of(F act) {
  try {
    act();
  } catch (const Error& error) {
    return error.kind;
  }
  return std::nullopt;
}

Endpoint full_endpoint() {
  Endpoint e;
  e.id = std::string(32, 'a');
  e.name = "full";
  e.creator = "ann@example.com";
  e.creator_display_name = "Änn \"A\" O'Hara; DROP TABLE endpoints";
  e.creator_kind = Principal::Kind::kServicePrincipal;
  e.creation_timestamp_ms = 1'790'000'000'000;
  e.last_updated_timestamp_ms = 1'790'000'000'001;
  e.description = "line\nline";
  e.budget_policy_id = "b";
  e.route_optimized = true;
  e.task = Task::kEmbeddings;
  e.tags = {{"k", "v"}, {"", "odd"}};
  e.email_notifications = EmailNotifications{{"a@x"}, {}};
  e.usage_tracking = false;
  e.fallback_enabled = true;
  e.settings = {ApiProfile::kOpen, false, 4096, true};
  e.lifecycle = {LifecycleState::kDeprecated, "2027-01-01", "other"};
  e.acl = {{AclEntry::Grantee::kGroup, "users", PermissionLevel::kCanQuery},
           {AclEntry::Grantee::kUser, "ann@example.com", PermissionLevel::kCanManage}};
  ServedEntity entity;
  entity.name = "m-1";
  entity.id = std::string(32, 'b');
  entity.entity_name = "main.llm.m";
  entity.entity_version = "1";
  entity.workload_type = "CPU";
  entity.min_provisioned_throughput = 0;
  entity.max_provisioned_throughput = 980;
  entity.burst_scaling_enabled = false;
  entity.environment_vars = {{"A", "1"}};
  entity.creator = "ann@example.com";
  entity.source = "/models/m";
  entity.task = Task::kEmbeddings;
  entity.model_id = "m-1";
  entity.max_model_len = 512;
  entity.deployment = Deployment::kFailed;
  entity.deployment_state_message = "why";
  entity.sockets = {"/run/not-kept.sock"};
  e.active = EndpointConfig{7, 5, {entity}, {{{"m-1", 100}}}};
  ServedEntity external;
  external.name = "x";
  external.kind = EntityKind::kExternalModel;
  external.external_model =
      ExternalModel{"openai",
                    "gpt",
                    Task::kChat,
                    {{"openai_api_base", "u"}},
                    {{"openai_api_key", {.sealed = "box"}}, {"other", {.reference = "{{r}}"}}}};
  e.pending = EndpointConfig{8, 6, {external}, {{{"x", 100}}}};
  e.config_update = ConfigUpdate::kUpdateFailed;
  e.suspended = true;
  e.last_config_version = 8;
  return e;
}

TEST_F(StoreTest, EndpointRoundTripsThroughReopen) {
  const Endpoint e = full_endpoint();
  EndpointStore(*database_).save(e);
  reopen();
  auto all = EndpointStore(*database_).load_all();
  ASSERT_EQ(all.size(), 1u);
  const Endpoint& r = all[0];
  EXPECT_EQ(r.id, e.id);
  EXPECT_EQ(r.name, e.name);
  EXPECT_EQ(r.creator_display_name, e.creator_display_name);
  EXPECT_EQ(r.creator_kind, e.creator_kind);
  EXPECT_EQ(r.creation_timestamp_ms, e.creation_timestamp_ms);
  EXPECT_EQ(r.last_updated_timestamp_ms, e.last_updated_timestamp_ms);
  EXPECT_EQ(r.description, e.description);
  EXPECT_EQ(r.budget_policy_id, "b");
  EXPECT_TRUE(r.route_optimized);
  EXPECT_EQ(r.task, e.task);
  EXPECT_EQ(r.tags, e.tags);
  ASSERT_TRUE(r.email_notifications);
  EXPECT_EQ(r.email_notifications->on_update_success, std::vector<std::string>{"a@x"});
  EXPECT_EQ(r.usage_tracking, false);
  EXPECT_TRUE(r.fallback_enabled);
  EXPECT_EQ(r.settings.api_profile, ApiProfile::kOpen);
  EXPECT_EQ(r.settings.also_completions, false);
  EXPECT_EQ(r.settings.max_model_len, 4096);
  EXPECT_EQ(r.lifecycle, e.lifecycle);
  EXPECT_EQ(r.acl, e.acl);
  EXPECT_EQ(r.config_update, ConfigUpdate::kUpdateFailed);
  EXPECT_TRUE(r.suspended);
  EXPECT_EQ(r.last_config_version, 8);
  ASSERT_TRUE(r.active && r.pending);
  EXPECT_EQ(r.active->config_version, 7);
  EXPECT_EQ(r.active->start_time_ms, 5);
  const ServedEntity& entity = r.active->entities.at(0);
  EXPECT_TRUE(same_deployment(entity, e.active->entities[0]));
  EXPECT_EQ(entity.id, std::string(32, 'b'));
  EXPECT_EQ(entity.max_model_len, 512);
  EXPECT_EQ(entity.deployment, Deployment::kFailed);
  EXPECT_EQ(entity.deployment_state_message, "why");
  EXPECT_FALSE(entity.burst_scaling_enabled);
  EXPECT_TRUE(entity.sockets.empty());
  EXPECT_EQ(r.pending->entities.at(0).external_model, e.pending->entities[0].external_model);
  EXPECT_EQ(r.pending->traffic, e.pending->traffic);
}

TEST_F(StoreTest, EndpointSaveReplacesAndNamesAreUnique) {
  EndpointStore store(*database_);
  Endpoint e = full_endpoint();
  store.save(e);
  e.pending.reset();
  e.acl.pop_back();
  e.tags.clear();
  store.save(e);
  auto all = store.load_all();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_FALSE(all[0].pending);
  EXPECT_EQ(all[0].acl.size(), 1u);
  EXPECT_TRUE(all[0].tags.empty());

  e.id = std::string(32, 'c');
  EXPECT_EQ(error_of([&] { store.save(e); }), ErrorKind::kResourceAlreadyExists);
  store.remove(std::string(32, 'a'));
  EXPECT_EQ(error_of([&] { store.save(e); }), std::nullopt);
  EXPECT_EQ(store.load_all().size(), 1u);
}

TEST_F(StoreTest, DocumentsWeDidNotWriteAreRefused) {
  for (std::string bad : {"", "[]", "{", "{}", R"({"served_entities":[1],"routes":[]})",
                          R"({"served_entities":[{}],"routes":[]})"}) {
    EXPECT_EQ(error_of([&] { read_config(bad); }), ErrorKind::kBadConfiguration) << bad;
  }
}

TEST_F(StoreTest, PrincipalsGroupsAndTokens) {
  PrincipalStore store(*database_);
  Principal admin{7, Principal::Kind::kUser, "admin", "Admin", {"users", "admins"}, true};
  store.save(admin);
  admin.display_name = "The Admin";
  store.save(admin);
  store.add_token({std::string(64, '1'), 7, "first", 10, -1});
  store.add_token({std::string(64, '2'), 7, "second", 20, 30});
  EXPECT_EQ(error_of([&] {
              store.add_token({std::string(64, '2'), 7, "", 0, 0});
            }),
            ErrorKind::kResourceAlreadyExists);
  EXPECT_EQ(error_of([&] {
              store.add_token({std::string(64, '3'), 8, "", 0, 0});
            }),
            ErrorKind::kResourceDoesNotExist);
  reopen();
  PrincipalStore again(*database_);
  auto principals = again.load_principals();
  ASSERT_EQ(principals.size(), 1u);
  EXPECT_EQ(principals[0].display_name, "The Admin");
  EXPECT_TRUE(principals[0].is_admin());
  EXPECT_EQ(principals[0].groups, (std::vector<std::string>{"users", "admins"}));
  auto tokens = again.load_tokens();
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[1].comment, "second");
  EXPECT_EQ(tokens[1].expiry_time_ms, 30);
  EXPECT_TRUE(again.remove_token(std::string(64, '1')));
  EXPECT_FALSE(again.remove_token(std::string(64, '1')));
}

TEST_F(StoreTest, ModelsVersionsAndAliases) {
  ModelStore store(*database_);
  const FullName name{"main", "llm", "m"};
  RegisteredModel model;
  model.catalog_name = "main";
  model.schema_name = "llm";
  model.name = "m";
  model.notes = {"M", {"a note"}, "Apache-2.0", "", "", "", ""};
  EXPECT_EQ(error_of([&] { store.add(model); }), ErrorKind::kResourceDoesNotExist);
  Catalog catalog;
  catalog.name = "main";
  store.add(catalog);
  EXPECT_EQ(error_of([&] { store.add(catalog); }), ErrorKind::kResourceAlreadyExists);
  Schema schema;
  schema.catalog_name = "main";
  schema.name = "llm";
  store.add(schema);
  store.add(model);

  ModelVersion version;
  version.catalog_name = "main";
  version.schema_name = "llm";
  version.model_name = "m";
  version.source = "/models/m";
  EXPECT_EQ(store.add(version), 1);
  EXPECT_EQ(store.add(version), 2);
  EXPECT_FALSE(store.latest_ready(name).has_value());
  version.version = 1;
  version.status = VersionStatus::kReady;
  store.update(version);
  EXPECT_EQ(store.latest_ready(name)->version, 1);
  store.set_alias(name, {"champion", 2});
  store.set_alias(name, {"champion", 1});
  EXPECT_EQ(error_of([&] { store.set_alias(name, {"x", 9}); }), ErrorKind::kResourceDoesNotExist);
  EXPECT_EQ(store.model(name)->aliases, (std::vector<ModelAlias>{{"champion", 1}}));
  EXPECT_EQ(store.model(name)->notes, model.notes);

  // Numbers are never used twice, and aliases go with their version.
  store.remove_version(name, 2);
  store.remove_version(name, 1);
  EXPECT_TRUE(store.model(name)->aliases.empty());
  EXPECT_EQ(store.add(version), 3);

  // A rename carries everything along.
  schema.name = "chat";
  store.update("llm", schema);
  EXPECT_EQ(store.versions({"main", "chat", "m"}, 0, 10).size(), 1u);
  store.remove_catalog("main");
  EXPECT_TRUE(store.models("", "", "", 10).empty());
  version.version = 0;
  EXPECT_EQ(error_of([&] { store.add(version); }), ErrorKind::kResourceDoesNotExist);
}

TEST_F(StoreTest, ListsArePaged) {
  ModelStore store(*database_);
  for (std::string name : {"c", "a", "b"}) {
    Catalog catalog;
    catalog.name = name;
    store.add(catalog);
  }
  auto first = store.catalogs("", 2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[1].name, "b");
  auto rest = store.catalogs("b", 2);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].name, "c");
}

TEST_F(StoreTest, SecretScopesAndTheirAccessLists) {
  SecretStore store(*database_);
  using Acl = std::pair<std::string, SecretPermission>;
  const auto acls_of = [](const SecretScope& scope) {
    std::vector<Acl> acls;
    for (const SecretAcl& acl : scope.acls) acls.emplace_back(acl.principal, acl.permission);
    return acls;
  };
  store.add_scope({"b", 20, "bob", {{"bob", SecretPermission::kManage}}});
  store.add_scope({"a", 10, "ann", {{"zoe", SecretPermission::kRead}}});
  store.add_scope({"empty", 30, "cy", {}});
  store.put_acl("a", {"ann", SecretPermission::kManage});

  // One scope is that scope, with its own list and nobody else's.
  const auto a = store.scope("a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->name, "a");
  EXPECT_EQ(a->created_at_ms, 10);
  EXPECT_EQ(a->created_by, "ann");
  EXPECT_EQ(acls_of(*a), (std::vector<Acl>{{"ann", SecretPermission::kManage},
                                           {"zoe", SecretPermission::kRead}}));
  const auto b = store.scope("b");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->name, "b");
  EXPECT_EQ(b->created_at_ms, 20);
  EXPECT_EQ(b->created_by, "bob");
  EXPECT_EQ(acls_of(*b), (std::vector<Acl>{{"bob", SecretPermission::kManage}}));
  ASSERT_TRUE(store.scope("empty"));
  EXPECT_TRUE(store.scope("empty")->acls.empty());
  EXPECT_FALSE(store.scope("A"));
  EXPECT_FALSE(store.scope(""));
  EXPECT_FALSE(store.scope("a' OR 'a' = 'a"));

  // All of them are the same, by name.
  const std::vector<SecretScope> all = store.scopes();
  ASSERT_EQ(all.size(), 3u);
  for (const SecretScope& each : all) {
    const auto alone = store.scope(each.name);
    ASSERT_TRUE(alone) << each.name;
    EXPECT_EQ(alone->created_at_ms, each.created_at_ms);
    EXPECT_EQ(alone->created_by, each.created_by);
    EXPECT_EQ(acls_of(*alone), acls_of(each));
  }
  EXPECT_EQ(all[0].name, "a");
  EXPECT_EQ(all[2].name, "empty");

  EXPECT_TRUE(store.remove_scope("a"));
  EXPECT_FALSE(store.scope("a"));
  EXPECT_TRUE(store.scope("b"));
}

TEST_F(StoreTest, UsageRoundTripsAndIsPruned) {
  UsageStore store(*database_);
  UsageRecord record;
  record.request_id = "r1";
  record.client_request_id = "mine";
  record.request_time_ms = 100;
  record.requester = "ann";
  record.endpoint_name = "e";
  record.served_entity_name = "m-1";
  record.entity_version = "1";
  record.api_type = "llm/v1/chat";
  record.status_code = 499;
  record.streaming = true;
  record.input_tokens = 1;
  record.output_tokens = 2;
  record.cached_tokens = 3;
  record.queue_ms = 4;
  record.finish_reason = "length";
  record.usage_context = {{"team", "ä"}};
  UsageRecord other = record;
  other.request_id = "r2";
  other.endpoint_name = "f";
  other.request_time_ms = 200;
  store.append(std::vector{record, other});
  EXPECT_EQ(store.recent("", 10).size(), 2u);
  auto mine = store.recent("e", 10);
  ASSERT_EQ(mine.size(), 1u);
  EXPECT_EQ(mine[0].request_id, "r1");
  EXPECT_EQ(mine[0].client_request_id, "mine");
  EXPECT_EQ(mine[0].status_code, 499);
  EXPECT_TRUE(mine[0].streaming);
  EXPECT_EQ(mine[0].cached_tokens, 3);
  EXPECT_EQ(mine[0].queue_ms, 4);
  EXPECT_EQ(mine[0].finish_reason, "length");
  EXPECT_EQ(mine[0].usage_context, record.usage_context);
  EXPECT_EQ(store.remove_before(200), 1);
  EXPECT_EQ(store.recent("", 10).size(), 1u);
}

}  // namespace
}  // namespace tessera::store
