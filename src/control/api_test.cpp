// The routes that need no process: validation, permissions, tokens, the model registry.
#include <gtest/gtest.h>

#include "control/test_support.h"

namespace tessera::control {
namespace {

const std::string kAll = "/api/2.0/serving-endpoints";
const std::string kUc = "/api/2.1/unity-catalog";

class ApiTest : public ::testing::Test {
 protected:
  Plane& plane() {
    if (!plane_) plane_ = std::make_unique<Plane>(folder_.path());
    return *plane_;
  }
  Reply call(std::string method, std::string target, std::string body = "",
             std::optional<std::string> token = {}) {
    return plane().call(std::move(method), std::move(target), std::move(body), std::move(token));
  }
  TemporaryFolder folder_;
  std::unique_ptr<Plane> plane_;
};

TEST_F(ApiTest, Credentials) {
  EXPECT_EQ(call("GET", kAll, "", "").code(), "UNAUTHENTICATED");
  EXPECT_EQ(call("GET", kAll, "", "wrong").status, 401);
  Reply basic =
      plane().call("GET", kAll, "", "",
                   {{"Authorization", "Basic " + base64_encode("token:" + plane().token())}});
  EXPECT_EQ(basic.status, 200);
  Reply other =
      plane().call("GET", kAll, "", "",
                   {{"Authorization", "Basic " + base64_encode("admin:" + plane().token())}});
  EXPECT_EQ(other.status, 401);
}

TEST_F(ApiTest, DiscoveryNeedsNoCredentials) {
  Reply reply = call("GET", "/.well-known/databricks-config", "", "");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.at("/oidc_endpoint"), "http://127.0.0.1:8080/oidc");
  EXPECT_EQ(reply.at("/workspace_id"), plane().control().workspace_id());
  EXPECT_EQ(reply.at("/host_type"), "WORKSPACE_HOST");
}

TEST_F(ApiTest, TrailingSlashAndUnknownPaths) {
  EXPECT_EQ(call("GET", kAll + "/").status, 200);
  EXPECT_EQ(call("GET", "/api/2.0/nothing/here").status, 404);
  EXPECT_EQ(call("DELETE", kAll).status, 405);
}

TEST_F(ApiTest, CreateRefusesWhatIsWrongNamingIt) {
  plane().register_model("chat", "");
  struct Case {
    std::string body;
    int status;
    std::string code, named;
  } cases[] = {
      {"{", 400, "BAD_REQUEST", ""},
      {"[]", 400, "BAD_REQUEST", "object"},
      {"{}", 400, "INVALID_PARAMETER_VALUE", "name"},
      {R"({"name":5})", 400, "INVALID_PARAMETER_VALUE", "name"},
      {R"({"name":"a.b"})", 400, "INVALID_PARAMETER_VALUE", "a.b"},
      {R"({"name":"pt"})", 400, "INVALID_PARAMETER_VALUE", "reserved"},
      {R"({"name":"databricks-x"})", 400, "INVALID_PARAMETER_VALUE", "databricks-"},
      {create_json("a", entity_json("nobody", "1")), 404, "RESOURCE_DOES_NOT_EXIST",
       "main.llm.nobody"},
      {create_json("a", entity_json("chat", "9")), 404, "RESOURCE_DOES_NOT_EXIST", "9"},
      {create_json("a", R"({"entity_name":"chat","entity_version":"1"})"), 400,
       "INVALID_PARAMETER_VALUE", "catalog.schema.model"},
      {create_json("a", entity_json("chat", "x")), 400, "INVALID_PARAMETER_VALUE",
       "entity_version"},
      {create_json("a", entity_json("chat", "1", R"(,"max_provisioned_throughput":981)")), 400,
       "INVALID_PARAMETER_VALUE", "980"},
      {create_json("a", entity_json("chat", "1", R"(,"environment_vars":{"A":"{{secrets/a/b}}"})")),
       400, "INVALID_PARAMETER_VALUE", "secret"},
      {create_json("a", entity_json("chat", "1"), R"(,"ai_gateway":{"guardrails":
        {"input":{"safety":true}}})"),
       400, "INVALID_PARAMETER_VALUE", "ai_gateway.guardrails"},
      {create_json("a", entity_json("chat", "1"), R"(,"rate_limits":[{"calls":1}])"), 400,
       "INVALID_PARAMETER_VALUE", "rate_limits: not supported yet"},
      {create_json("a", entity_json("chat", "1"), R"(,"route_optimized":true)"), 400,
       "INVALID_PARAMETER_VALUE", "route_optimized"},
      {create_json("a", entity_json("chat", "1"), R"(,"tessera":{"api":1})"), 400,
       "INVALID_PARAMETER_VALUE", "tessera.api"},
      {create_json("a", entity_json("chat", "1"), R"(,"tags":[{"value":"x"}])"), 400,
       "INVALID_PARAMETER_VALUE", "tags[0].key"},
      {R"({"name":"a","config":{"served_entities":[],"served_models":[]}})", 400,
       "INVALID_PARAMETER_VALUE", "served_models"},
  };
  for (const Case& c : cases) {
    Reply reply = call("POST", kAll, c.body);
    EXPECT_EQ(reply.status, c.status) << c.body << reply.text;
    EXPECT_EQ(reply.code(), c.code) << c.body;
    EXPECT_NE(reply.message().find(c.named), std::string::npos) << c.body << reply.text;
  }
  EXPECT_EQ(call("GET", kAll + "/a").status, 404);  // nothing was left behind
}

TEST_F(ApiTest, UnknownFieldsAreIgnored) {
  plane().register_model("chat", "");
  EXPECT_EQ(call("POST", kAll,
                 create_json("a", entity_json("chat", "1", R"(,"new":1)"),
                             R"(,"task":"llm/v1/chat","future":{})"))
                .status,
            200);
}

TEST_F(ApiTest, ProvisionedThroughputByUnits) {
  plane().register_model("chat", "");
  Reply made = call("POST", kAll + "/pt", R"({"name":"units","config":{"served_entities":[
      {"entity_name":"main.llm.chat","provisioned_model_units":50}]}})");
  ASSERT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.at("/pending_config/served_entities/0/provisioned_model_units"), 50);
  EXPECT_EQ(made.at("/pending_config/served_entities/0/entity_version"), "1");
  ASSERT_TRUE(plane().wait_state("units", "READY", "NOT_UPDATING"));
  Reply changed = call("PUT", kAll + "/pt/units/config", R"({"config":{"served_entities":[
      {"entity_name":"main.llm.chat","entity_version":1,"provisioned_model_units":100}]}})");
  EXPECT_EQ(changed.status, 200) << changed.text;
  EXPECT_EQ(call("POST", kAll + "/pt", R"({"name":"x","config":{"served_entities":[
      {"entity_name":"main.llm.chat"}]}})")
                .status,
            400);
}

TEST_F(ApiTest, OptimizationInfo) {
  plane().register_model("chat", "");
  plane().register_model("bad", "fail");
  const std::string route = kAll + "/get-model-optimization-info/main.llm.";
  Reply good = call("GET", route + "chat/1");
  EXPECT_EQ(good.at("/optimizable"), true);
  EXPECT_EQ(good.at("/model_type"), "llama");
  EXPECT_EQ(good.at("/throughput_chunk_size"), 980);
  EXPECT_EQ(call("GET", route + "bad/1").text, R"({"optimizable":false})");
  EXPECT_EQ(call("GET", route + "chat/2").code(), "RESOURCE_DOES_NOT_EXIST");
}

TEST_F(ApiTest, TagsAndNotifications) {
  call("POST", kAll, R"({"name":"a","tags":[{"key":"z","value":"1"}]})");
  Reply tags = call("PATCH", kAll + "/a/tags",
                    R"({"add_tags":[{"key":"b"},{"key":"z","value":"2"},{"key":"c"}],
                        "delete_tags":["c","unknown"]})");
  EXPECT_EQ(tags.text, R"({"tags":[{"key":"b","value":""},{"key":"z","value":"2"}]})");
  EXPECT_EQ(call("PATCH", kAll + "/a/tags").text, tags.text);  // an empty body changes nothing
  Reply mails = call("PATCH", kAll + "/a/notifications",
                     R"({"email_notifications":{"on_update_failure":["x@y"]}})");
  EXPECT_EQ(mails.text, R"({"name":"a","email_notifications":{"on_update_failure":["x@y"]}})");
  EXPECT_EQ(call("GET", kAll + "/a").at("/email_notifications/on_update_failure/0"), "x@y");
  call("PATCH", kAll + "/a/notifications", "{}");
  EXPECT_FALSE(call("GET", kAll + "/a").body.contains("email_notifications"));
}

TEST_F(ApiTest, AiGatewayEchoesWhatIsEnforced) {
  call("POST", kAll, R"({"name":"a"})");
  EXPECT_EQ(
      call("PUT", kAll + "/a/ai-gateway", R"({"usage_tracking_config":{"enabled":true}})").text,
      R"({"usage_tracking_config":{"enabled":true}})");
  EXPECT_EQ(call("GET", kAll + "/a").at("/ai_gateway/usage_tracking_config/enabled"), true);
  EXPECT_EQ(call("PUT", kAll + "/a/ai-gateway", R"({"fallback_config":{"enabled":true}})").text,
            R"({"fallback_config":{"enabled":true}})");
  Reply refused = call("PUT", kAll + "/a/ai-gateway",
                       R"({"rate_limits":[{"calls":1,"renewal_period":"minute"}]})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.message(), "rate_limits: not supported yet; leave it out.");
  EXPECT_EQ(call("PUT", kAll + "/a/ai-gateway", "{}").text, "{}");
  EXPECT_FALSE(call("GET", kAll + "/a").body.contains("ai_gateway"));
  EXPECT_EQ(call("PUT", kAll + "/a/rate-limits", R"({"rate_limits":[]})").text,
            R"({"rate_limits":[]})");
  EXPECT_EQ(call("PUT", kAll + "/a/rate-limits", R"({"rate_limits":[{"calls":1}]})").status, 400);
}

TEST_F(ApiTest, OwnSettings) {
  call("POST", kAll, R"({"name":"a"})");
  EXPECT_FALSE(call("GET", kAll + "/a").body.contains("tessera"));
  EXPECT_EQ(
      call("PATCH", kAll + "/a/tessera", R"({"api_profile":"open","max_model_len":"2048"})").text,
      R"({"api_profile":"open","max_model_len":2048})");
  EXPECT_EQ(call("PATCH", kAll + "/a/tessera", R"({"max_model_len":null})").text,
            R"({"api_profile":"open"})");
  EXPECT_EQ(call("GET", kAll + "/a").at("/tessera/api_profile"), "open");
  EXPECT_EQ(call("PATCH", kAll + "/a/tessera", R"({"api_profile":"x"})").status, 400);
}

TEST_F(ApiTest, PermissionsAreStoredAndEnforced) {
  Reply made = call("POST", kAll, R"({"name":"a"})");
  const std::string id(made.at("/id").as_string());
  const std::string object = "/api/2.0/permissions/serving-endpoints/" + id;
  EXPECT_EQ(call("GET", kAll + "/a", "", kBobsToken).code(), "PERMISSION_DENIED");
  EXPECT_EQ(call("GET", kAll, "", kBobsToken).text.find("\"a\""), std::string::npos);
  Reply granted = call("PATCH", object, R"({"access_control_list":[
      {"user_name":"bob","permission_level":"CAN_VIEW"}]})");
  ASSERT_EQ(granted.status, 200) << granted.text;
  EXPECT_EQ(granted.at("/object_id"), "/serving-endpoints/" + id);
  EXPECT_EQ(granted.at("/access_control_list").as_array().size(), 3u);
  EXPECT_EQ(call("GET", kAll + "/a", "", kBobsToken).at("/permission_level"), "CAN_VIEW");
  EXPECT_EQ(call("DELETE", kAll + "/a", "", kBobsToken).status, 403);
  EXPECT_EQ(call("GET", object, "", kBobsToken).status, 403);
  EXPECT_EQ(call("GET", kAll + "/a/openapi", "", kBobsToken).status, 403);

  // PUT replaces; a PUT that shuts its own caller out is refused for non-admins.
  call("PUT", object, R"({"access_control_list":[
      {"user_name":"bob","permission_level":"CAN_MANAGE"}]})");
  EXPECT_EQ(call("PUT", object, R"({"access_control_list":[]})", kBobsToken).status, 400);
  EXPECT_EQ(call("GET", object, "", kBobsToken).status, 200);
  EXPECT_EQ(call("PUT", object, R"({"access_control_list":[]})").status, 200);
  EXPECT_EQ(call("GET", kAll + "/a", "", kBobsToken).status, 403);
  call("PATCH", object, R"({"access_control_list":[
      {"group_name":"users","permission_level":"CAN_QUERY"}]})");
  EXPECT_EQ(call("GET", kAll + "/a", "", kBobsToken).at("/permission_level"), "CAN_QUERY");

  EXPECT_EQ(call("PATCH", object, R"({"access_control_list":[
      {"user_name":"nobody","permission_level":"CAN_VIEW"}]})")
                .status,
            404);
  EXPECT_EQ(call("PATCH", object, R"({"access_control_list":[
      {"user_name":"bob","group_name":"users","permission_level":"CAN_VIEW"}]})")
                .status,
            400);
  EXPECT_EQ(call("PATCH", object, R"({"access_control_list":[
      {"user_name":"bob","permission_level":"CAN_FLY"}]})")
                .status,
            400);
  EXPECT_EQ(call("GET", "/api/2.0/permissions/clusters/x").status, 400);
  EXPECT_EQ(call("GET", "/api/2.0/permissions/serving-endpoints/" + std::string(32, '0')).status,
            404);
  EXPECT_EQ(call("GET", object + "/permissionLevels").at("/permission_levels").as_array().size(),
            3u);
}

TEST_F(ApiTest, TokensLiveAndDie) {
  Reply made = call("POST", "/api/2.0/token/create",
                    R"({"comment":"mine","lifetime_seconds":3600})", kBobsToken);
  ASSERT_EQ(made.status, 200) << made.text;
  const std::string text(made.at("/token_value").as_string());
  const std::string id(made.at("/token_info/token_id").as_string());
  EXPECT_EQ(id.size(), 64u);
  EXPECT_EQ(made.at("/token_info/expiry_time").as_int64() -
                made.at("/token_info/creation_time").as_int64(),
            3'600'000);
  EXPECT_EQ(call("GET", "/api/2.0/preview/scim/v2/Me", "", text).at("/userName"), "bob");
  EXPECT_EQ(call("GET", "/api/2.0/token/list", "", text).at("/token_infos").as_array().size(), 2u);
  // Others cannot delete it.
  EXPECT_EQ(call("POST", "/api/2.0/token/delete", R"({"token_id":")" + id + "\"}").code(),
            "RESOURCE_DOES_NOT_EXIST");
  EXPECT_EQ(call("POST", "/api/2.0/token/delete", R"({"token_id":")" + id + "\"}", text).text,
            "{}");
  EXPECT_EQ(call("GET", kAll, "", text).status, 401);
  EXPECT_EQ(call("POST", "/api/2.0/token/create", R"({"lifetime_seconds":0})").status, 400);
  EXPECT_EQ(call("POST", "/api/2.0/token/create", R"({"scopes":["sql"]})").status, 400);
}

TEST_F(ApiTest, CliTelemetryIsSwallowed) {
  EXPECT_EQ(call("POST", "/telemetry-ext", R"({"protoLogs":["a","b"]})").text,
            R"({"errors":[],"numProtoSuccess":2})");
}

TEST_F(ApiTest, RegistryWalk) {
  EXPECT_EQ(call("POST", kUc + "/schemas", R"({"name":"s","catalog_name":"c"})").status, 404);
  EXPECT_EQ(call("POST", kUc + "/catalogs", R"({"name":"C","comment":"x"})").at("/name"), "c");
  EXPECT_EQ(call("POST", kUc + "/catalogs", R"({"name":"c"})").code(), "RESOURCE_ALREADY_EXISTS");
  EXPECT_EQ(call("POST", kUc + "/schemas", R"({"name":"s","catalog_name":"c"})").at("/full_name"),
            "c.s");
  EXPECT_EQ(call("POST", kUc + "/models", R"({"name":"m","catalog_name":"c","schema_name":"s"})")
                .at("/full_name"),
            "c.s.m");
  const std::string version =
      R"({"model_name":"m","catalog_name":"c","schema_name":"s","source":")";
  EXPECT_EQ(call("POST", kUc + "/models/versions", version + "s3://x\"}").status, 400);
  EXPECT_EQ(call("POST", kUc + "/models/versions", version + "/x\"}", kBobsToken).status, 403);
  Reply made = call("POST", kUc + "/models/versions", version + "/no/such/folder\"}");
  EXPECT_EQ(made.at("/version"), 1);
  EXPECT_EQ(made.at("/status"), "PENDING_REGISTRATION");
  // Not there: registration fails, and it cannot be served.
  EXPECT_EQ(call("PATCH", kUc + "/models/c.s.m/versions/1/finalize").at("/status"),
            "FAILED_REGISTRATION");
  EXPECT_EQ(call("PATCH", kUc + "/models/c.s.m/versions/1/finalize").status, 400);
  Reply refused = call("POST", kAll, R"({"name":"a","config":{"served_entities":[
      {"entity_name":"c.s.m","entity_version":"1"}]}})");
  EXPECT_NE(refused.message().find("FAILED_REGISTRATION"), std::string::npos);

  EXPECT_EQ(
      call("PUT", kUc + "/models/c.s.m/aliases/champion", R"({"version_num":1})").at("/alias_name"),
      "champion");
  EXPECT_EQ(call("PUT", kUc + "/models/c.s.m/aliases/champion", R"({"version_num":2})").status,
            404);
  EXPECT_EQ(call("GET", kUc + "/models/c.s.m/aliases/champion").at("/version"), 1);
  EXPECT_EQ(call("GET", kUc + "/models/c.s.m?include_aliases=true").at("/aliases/0/version_num"),
            1);
  EXPECT_EQ(call("GET", kUc + "/models/c.s.m/versions").at("/model_versions/0/version"), 1);
  EXPECT_EQ(call("PATCH", kUc + "/models/c.s.m/versions/1", R"({"comment":"hi"})").at("/comment"),
            "hi");
  EXPECT_EQ(call("DELETE", kUc + "/models/c.s.m/aliases/champion").text, "{}");
  EXPECT_EQ(call("GET", kUc + "/models/c.s.m/aliases/champion").status, 404);

  EXPECT_EQ(call("PATCH", kUc + "/models/c.s.m", R"({"comment":"x"})", kBobsToken).status, 403);
  EXPECT_EQ(call("PATCH", kUc + "/models/c.s.m", R"({"new_name":"n"})").at("/full_name"), "c.s.n");
  EXPECT_EQ(call("DELETE", kUc + "/schemas/c.s").status, 400);
  EXPECT_EQ(call("DELETE", kUc + "/schemas/c.s?force=true").text, "{}");
  EXPECT_EQ(call("GET", kUc + "/models/c.s.n").status, 404);
  EXPECT_EQ(call("DELETE", kUc + "/catalogs/c").text, "{}");
  EXPECT_EQ(call("DELETE", kUc + "/catalogs/system").status, 403);
  EXPECT_EQ(call("GET", kUc + "/catalogs/system").at("/catalog_type"), "SYSTEM_CATALOG");
}

TEST_F(ApiTest, RegistryPages) {
  for (char c = 'a'; c < 'e'; ++c) {
    call("POST", kUc + "/catalogs", R"({"name":")" + std::string(1, c) + "\"}");
  }
  std::string names, token;
  int pages = 0;
  do {
    Reply reply = call("GET", kUc + "/catalogs?max_results=2&page_token=" + token);
    const Found list = reply.at("/catalogs");
    for (const auto& item : list.as_array()) {
      names += std::string(item.as_object().at("name").as_string()) + " ";
    }
    const Found next = reply.at("/next_page_token");
    token = next.value.is_string() ? std::string(next.as_string()) : std::string();
    ++pages;
  } while (!token.empty() && pages < 10);
  EXPECT_EQ(names, "a b c d system ");
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(call("GET", kUc + "/catalogs?max_results=0").at("/catalogs").as_array().size(), 5u);
  EXPECT_EQ(call("GET", kUc + "/catalogs?max_results=-1").status, 400);
  EXPECT_EQ(call("GET", kUc + "/catalogs?page_token=%").status, 400);
  EXPECT_EQ(call("GET", kUc + "/schemas").status, 400);
}

TEST_F(ApiTest, IfMatch) {
  plane().register_model("chat", "");
  call("POST", kAll, create_json("a", entity_json("chat", "1")));
  ASSERT_TRUE(plane().wait_state("a", "READY", "NOT_UPDATING"));
  const std::string body =
      R"({"served_entities":[)" + entity_json("chat", "1", R"(,"workload_size":"Medium")") + "]}";
  EXPECT_EQ(plane().call("PUT", kAll + "/a/config", body, {}, {{"If-Match", "\"7\""}}).status, 409);
  EXPECT_EQ(plane().call("PUT", kAll + "/a/config", body, {}, {{"If-Match", "\"1\""}}).status, 200);
}

}  // namespace
}  // namespace tessera::control
