// External models and secrets over the API: what is stored, echoed, kept and refused.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.h"
#include "catalog/external_fields.h"
#include "catalog/known_models.h"
#include "control/test_support.h"

namespace tessera::control {
namespace {

std::string external(const std::string& name, const std::string& config,
                     const std::string& provider = "openai") {
  return R"({"name":")" + name + R"(","external_model":{"provider":")" + provider +
         R"(","name":"gpt-4o","task":"llm/v1/chat",)" + config + "}}";
}

const std::string kPlain = R"("openai_config":{"openai_api_key_plaintext":"sk-very-secret"})";

class ExternalTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("tessera-external-" + uuid_v4());
    fs::create_directories(folder_);
    plane_ = std::make_unique<Plane>(folder_);
  }
  void TearDown() override {
    plane_.reset();
    fs::remove_all(folder_);
  }
  void restart() {
    plane_.reset();
    plane_ = std::make_unique<Plane>(folder_);
  }

  Reply create(const std::string& name, const std::string& entities) {
    return plane_->call("POST", "/api/2.0/serving-endpoints", create_json(name, entities));
  }
  std::string value(const std::string& endpoint, const std::string& field) {
    const catalog::Endpoint* found = plane_->find(endpoint);
    if (!found || !found->active) return "(no config)";
    return std::string(found->active->entities.at(0).external_model->secret(field));
  }

  fs::path folder_;
  std::unique_ptr<Plane> plane_;
};

TEST_F(ExternalTest, PlaintextIsSealedNeverEchoedAndSurvives) {
  const Reply made = create("gpt", external("a", kPlain));
  ASSERT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.text.find("sk-very-secret"), std::string::npos);
  EXPECT_EQ(made.at("/config/served_entities/0/external_model/provider"), "openai");
  ASSERT_TRUE(plane_->wait_state("gpt", "READY", "NOT_UPDATING"));
  EXPECT_EQ(plane_->endpoint("gpt").at("/endpoint_type"), "EXTERNAL_MODEL");
  EXPECT_EQ(plane_->endpoint("gpt").at("/task"), "llm/v1/chat");
  EXPECT_EQ(value("gpt", "openai_api_key"), "sk-very-secret");
  restart();
  EXPECT_EQ(value("gpt", "openai_api_key"), "sk-very-secret");
  plane_.reset();
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(bytes.find("sk-very-secret"), std::string::npos) << entry.path();
  }
  struct stat info;
  ASSERT_EQ(::stat((folder_ / "data/secret-key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(ExternalTest, AnUpdateThatLeavesThePlaintextOutKeepsIt) {
  ASSERT_EQ(create("gpt", external("a", kPlain)).status, 200);
  ASSERT_TRUE(plane_->wait_state("gpt", "READY", "NOT_UPDATING"));
  const std::string path = "/api/2.0/serving-endpoints/gpt/config";
  const Reply kept =
      plane_->call("PUT", path,
                   R"({"served_entities":[)" +
                       external("a", R"("openai_config":{"openai_organization":"org"})") + "]}");
  ASSERT_EQ(kept.status, 200) << kept.text;
  ASSERT_TRUE(plane_->wait_state("gpt", "READY", "NOT_UPDATING"));
  EXPECT_EQ(value("gpt", "openai_api_key"), "sk-very-secret");
  restart();
  EXPECT_EQ(value("gpt", "openai_api_key"), "sk-very-secret");
  const Reply other = plane_->call(
      "PUT", path, R"({"served_entities":[)" + external("b", R"("openai_config":{})") + "]}");
  EXPECT_EQ(other.status, 400) << "another entity has no key";
}

TEST_F(ExternalTest, ReferencesAreEchoedAndFollowed) {
  const std::string config = R"("openai_config":{"openai_api_key":"{{secrets/llm/key}}"})";
  EXPECT_EQ(create("gpt", external("a", config)).status, 404) << "no such scope";
  ASSERT_EQ(plane_->call("POST", "/api/2.0/secrets/scopes/create", R"({"scope":"llm"})").status,
            200);
  EXPECT_EQ(create("gpt", external("a", config)).status, 404) << "no such key";
  ASSERT_EQ(plane_
                ->call("POST", "/api/2.0/secrets/put",
                       R"({"scope":"llm","key":"key","string_value":"sk-1"})")
                .status,
            200);
  const Reply made = create("gpt", external("a", config));
  ASSERT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.at("/config/served_entities/0/external_model/openai_config/openai_api_key"),
            "{{secrets/llm/key}}");
  ASSERT_TRUE(plane_->wait_state("gpt", "READY", "NOT_UPDATING"));
  EXPECT_EQ(value("gpt", "openai_api_key"), "sk-1");
  plane_->call("POST", "/api/2.0/secrets/put",
               R"({"scope":"llm","key":"key","string_value":"sk-2"})");
  EXPECT_EQ(value("gpt", "openai_api_key"), "sk-2") << "a rotated secret is in use at once";
  restart();
  EXPECT_EQ(value("gpt", "openai_api_key"), "sk-2");
  // Bob may not read the scope, so he cannot use it either.
  const Reply bobs = plane_->call("POST", "/api/2.0/serving-endpoints",
                                  create_json("bobs", external("a", config)), kBobsToken);
  EXPECT_EQ(bobs.status, 403) << bobs.text;
  plane_->call("POST", "/api/2.0/secrets/acls/put",
               R"({"scope":"llm","principal":"bob","permission":"READ"})");
  EXPECT_EQ(plane_
                ->call("POST", "/api/2.0/serving-endpoints",
                       create_json("bobs", external("a", config)), kBobsToken)
                .status,
            200);
}

TEST_F(ExternalTest, EveryProvidersConfigComesBack) {
  const std::pair<const char*, const char*> cases[] = {
      {"anthropic", R"("anthropic_config":{"anthropic_api_key_plaintext":"k","max_retries":0})"},
      {"cohere",
       R"("cohere_config":{"cohere_api_key_plaintext":"k","cohere_api_base":"https://c.example"})"},
      {"palm", R"("palm_config":{"palm_api_key_plaintext":"k"})"},
      {"amazon-bedrock",
       R"("amazon_bedrock_config":{"aws_region":"eu-west-1","bedrock_provider":"Anthropic","aws_access_key_id_plaintext":"a","aws_secret_access_key_plaintext":"s"})"},
      {"google-cloud-vertex-ai",
       R"("google_cloud_vertex_ai_config":{"project_id":"p","region":"r","private_key_plaintext":"{\"client_email\":\"a@b\",\"private_key\":\"pem\"}"})"},
      {"databricks-model-serving",
       R"("databricks_model_serving_config":{"databricks_workspace_url":"https://w.example","databricks_api_token_plaintext":"k"})"},
      {"custom",
       R"("custom_provider_config":{"custom_provider_url":"https://c.example/v1","api_key_auth":{"key":"x-api-key","value_plaintext":"k"}})"},
  };
  for (const auto& [provider, config] : cases) {
    const std::string name = std::string("e-") + provider;
    const Reply made = create(name, external("a", config, provider));
    EXPECT_EQ(made.status, 200) << made.text;
    EXPECT_EQ(made.text.find("_plaintext"), std::string::npos) << made.text;
  }
  EXPECT_EQ(
      plane_->endpoint("e-amazon-bedrock")
          .at("/config/served_entities/0/external_model/amazon_bedrock_config/bedrock_provider"),
      "anthropic");
  EXPECT_EQ(plane_->endpoint("e-anthropic")
                .at("/config/served_entities/0/external_model/anthropic_config/max_retries"),
            0);
  EXPECT_EQ(
      plane_->endpoint("e-custom")
          .at("/config/served_entities/0/external_model/custom_provider_config/api_key_auth/key"),
      "x-api-key");
}

TEST_F(ExternalTest, RefusalsNameTheField) {
  const std::string openai = "served_entities[0].external_model.openai_config";
  const std::pair<std::string, std::string> cases[] = {
      {external("a", R"("openai_config":{})"), "openai_api_key"},
      {external("a", R"("openai_config":{"openai_api_key":"sk-123"})"), "openai_api_key"},
      {external(
           "a",
           R"("openai_config":{"openai_api_key":"{{secrets/a/b}}","openai_api_key_plaintext":"x"})"),
       "not both"},
      {external("a", R"("openai_config":{"api_key_plaintext":"x"})"), "api_key_plaintext"},
      {external("a", R"("cohere_config":{"cohere_api_key_plaintext":"x"})"), "cohere_config"},
      {external("a", kPlain, "mystery"), "provider"},
      {R"({"name":"a","external_model":{"provider":"openai","name":"x","task":"llm/v1/sing"}})",
       "task"},
      {R"({"name":"a","entity_name":"main.llm.x","entity_version":"1",)" +
           external("a", kPlain).substr(12),
       "entity_name"},
  };
  for (const auto& [entity, word] : cases) {
    const Reply reply = create("gpt", entity);
    EXPECT_EQ(reply.status, 400) << reply.text;
    EXPECT_NE(reply.message().find(word), std::string::npos) << reply.message();
    EXPECT_EQ(reply.message().find("sk-123"), std::string::npos) << reply.message();
  }
}

TEST_F(ExternalTest, VertexWantsAKeyFile) {
  const auto vertex = [&](const std::string& key) {
    return create("v", external("a",
                                R"("google_cloud_vertex_ai_config":{"project_id":"p",)"
                                R"("region":"r","private_key_plaintext":")" +
                                    key + R"("})",
                                "google-cloud-vertex-ai"));
  };
  const std::string file = R"({"client_email":"a@b","private_key":"hush-hush"})";
  for (const std::string& bad :
       {std::string("hush-hush"), std::string("{}"), std::string("-----BEGIN PRIVATE KEY-----"),
        base64_encode(R"({"private_key":"hush-hush"})"), base64_encode("[1]"),
        std::string(R"({\"client_email\":\"a@b\",\"private_key\":7})")}) {
    const Reply reply = vertex(bad);
    EXPECT_EQ(reply.status, 400) << bad << reply.text;
    EXPECT_NE(reply.message().find("google_cloud_vertex_ai_config.private_key_plaintext"),
              std::string::npos)
        << reply.message();
    EXPECT_EQ(reply.text.find("hush"), std::string::npos) << reply.text;
    EXPECT_EQ(reply.text.find("BEGIN"), std::string::npos) << reply.text;
  }
  EXPECT_EQ(vertex(base64_encode(file)).status, 200);
}

TEST_F(ExternalTest, UnusualTasksAreWarnedOf) {
  const auto model = [](const std::string& name, const std::string& task) {
    return R"({"name":"a","external_model":{"provider":"openai","name":")" + name +
           R"(","task":"llm/v1/)" + task + R"(",)" + kPlain + "}}";
  };
  std::vector<std::string> lines;
  set_log_sink([&](std::string_view line) { lines.emplace_back(line); });
  const Reply odd = create("odd", model("text-embedding-3-small", "chat"));
  const Reply usual = create("usual", model("gpt-4o", "chat"));
  const Reply unknown = create("unknown", model("ft:gpt-4o:me", "chat"));
  ASSERT_TRUE(plane_->wait_state("usual", "READY", "NOT_UPDATING"));
  const Reply changed =
      plane_->call("PUT", "/api/2.0/serving-endpoints/usual/config",
                   R"({"served_entities":[)" + model("text-embedding-3-small", "chat") + "]}");
  set_log_sink({});
  EXPECT_EQ(odd.status, 200) << odd.text;
  const std::string warning = std::string(odd.headers.get("x-tessera-warning").value_or(""));
  EXPECT_NE(warning.find("'text-embedding-3-small'"), std::string::npos) << warning;
  EXPECT_NE(warning.find("'llm/v1/embeddings'"), std::string::npos) << warning;
  EXPECT_FALSE(usual.headers.get("x-tessera-warning"));
  EXPECT_FALSE(unknown.headers.get("x-tessera-warning"));
  EXPECT_EQ(changed.status, 200) << changed.text;
  EXPECT_TRUE(changed.headers.get("x-tessera-warning")) << changed.text;
  EXPECT_EQ(std::ranges::count_if(lines,
                                  [](const std::string& line) {
                                    return line.find("unusual external model") != line.npos;
                                  }),
            2);
}

TEST_F(ExternalTest, KnownModelsAndFieldsAreListed) {
  const auto get = [&](const std::string& query) {
    return plane_->call("GET", "/api/2.0/tessera/external-models" + query, "", kBobsToken);
  };
  const Reply all = get("");
  ASSERT_EQ(all.status, 200) << all.text;
  EXPECT_EQ(all.at("/providers").as_array().size(), catalog::external_providers().size());
  EXPECT_EQ(all.at("/models").as_array().size(), catalog::known_models().size());
  EXPECT_EQ(all.at("/common_fields").as_array().size(), catalog::common_external_fields().size());
  const Reply openai = get("?provider=openai&variant=azure&task=llm/v1/embeddings");
  ASSERT_EQ(openai.at("/providers").as_array().size(), 1u) << openai.text;
  EXPECT_EQ(openai.at("/providers/0/config_object"), "openai_config");
  EXPECT_EQ(openai.at("/providers/0/fields/0/name"), "openai_api_key");
  EXPECT_EQ(openai.at("/providers/0/fields/0/secret"), true);
  EXPECT_EQ(openai.at("/providers/0/fields/1/type"), "choice");
  EXPECT_EQ(openai.at("/providers/0/fields/1/choices/2"), "azuread");
  const auto models = openai.at("/models").as_array();
  ASSERT_EQ(models.size(),
            catalog::suggestions("openai", "azure", catalog::Task::kEmbeddings).size());
  ASSERT_FALSE(models.empty());
  for (const json::value& model : models) {
    EXPECT_EQ(model.at("provider"), "openai");
    EXPECT_EQ(model.at("variant"), "azure");
    EXPECT_EQ(model.at("task"), "llm/v1/embeddings");
    EXPECT_GT(model.at("dimensions").as_int64(), 0);
  }
  EXPECT_EQ(get("?provider=nobody").status, 400);
  EXPECT_EQ(get("?task=chat").status, 400);
  EXPECT_EQ(plane_->call("GET", "/api/2.0/tessera/external-models", "", "").status, 401);
}

TEST_F(ExternalTest, SecretsApi) {
  const auto post = [&](const std::string& path, const std::string& body,
                        std::optional<std::string> token = {}) {
    return plane_->call("POST", "/api/2.0/secrets/" + path, body, token);
  };
  const auto get = [&](const std::string& path, std::optional<std::string> token = {}) {
    return plane_->call("GET", "/api/2.0/secrets/" + path, "", token);
  };
  ASSERT_EQ(post("scopes/create", R"({"scope":"s"})").status, 200);
  EXPECT_EQ(post("scopes/create", R"({"scope":"s"})").code(), "RESOURCE_ALREADY_EXISTS");
  EXPECT_EQ(post("scopes/create", R"({"scope":"a/b"})").status, 400);
  EXPECT_EQ(
      post("put", R"({"scope":"s","key":"k","string_value":"a","bytes_value":"YQ=="})").status,
      400);
  EXPECT_EQ(post("put", R"({"scope":"none","key":"k","string_value":"a"})").status, 404);
  EXPECT_EQ(post("put", R"({"scope":"s","key":"k","bytes_value":"AAEC"})").status, 200);
  EXPECT_EQ(get("get?scope=s&key=k").at("/value"), "AAEC");
  EXPECT_EQ(get("get?scope=s&key=none").code(), "RESOURCE_DOES_NOT_EXIST");
  EXPECT_EQ(get("list?scope=s").at("/secrets/0/key"), "k");
  EXPECT_EQ(get("list?scope=s", kBobsToken).status, 403);
  EXPECT_EQ(get("scopes/list", kBobsToken).at("/scopes").as_array().size(), 0u);
  EXPECT_EQ(post("acls/put", R"({"scope":"s","principal":"nobody","permission":"READ"})").status,
            404);
  EXPECT_EQ(post("acls/put", R"({"scope":"s","principal":"bob","permission":"ALL"})").status, 400);
  EXPECT_EQ(post("acls/put", R"({"scope":"s","principal":"bob","permission":"READ"})").status, 200);
  EXPECT_EQ(get("get?scope=s&key=k", kBobsToken).at("/value"), "AAEC");
  EXPECT_EQ(post("put", R"({"scope":"s","key":"k","string_value":"x"})", kBobsToken).status, 403);
  EXPECT_EQ(get("acls/get?scope=s&principal=bob").at("/permission"), "READ");
  EXPECT_EQ(get("acls/list?scope=s").at("/items").as_array().size(), 2u);
  EXPECT_EQ(post("acls/delete", R"({"scope":"s","principal":"bob"})").status, 200);
  EXPECT_EQ(get("get?scope=s&key=k", kBobsToken).status, 403);
  EXPECT_EQ(post("delete", R"({"scope":"s","key":"k"})").status, 200);
  EXPECT_EQ(post("delete", R"({"scope":"s","key":"k"})").status, 404);
  EXPECT_EQ(post("scopes/delete", R"({"scope":"s"})").status, 200);
  EXPECT_EQ(get("list?scope=s").status, 404);
}

}  // namespace
}  // namespace tessera::control
