#include "control/bootstrap.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "control/test_support.h"

namespace tessera::control {
namespace {

mode_t mode_of(const fs::path& path) {
  struct stat info;
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(Bootstrap, FirstStartMakesTheFolderTheTokenAndTheEndpoints) {
  TemporaryFolder folder;
  std::string token, workspace;
  {
    Plane plane(folder.path());
    const fs::path data = folder.path() / "data";
    EXPECT_EQ(mode_of(data), 0700u);
    EXPECT_EQ(mode_of(data / "tessera.db"), 0600u);
    EXPECT_EQ(mode_of(data / "admin-token"), 0600u);
    token = plane.token();
    workspace = plane.control().workspace_id();
    EXPECT_TRUE(token.starts_with("dapi"));
    EXPECT_EQ(token.size(), 36u);
    // The text of the token is nowhere but in its file.
    for (const char* name : {"tessera.db", "tessera.db-wal"}) {
      std::ifstream file(data / name, std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)), {});
      EXPECT_EQ(bytes.find(token.substr(4)), std::string::npos) << name;
    }
    EXPECT_FALSE(plane.control().ready());
    Reply me = plane.call("GET", "/api/2.0/preview/scim/v2/Me");
    EXPECT_EQ(me.status, 200);
    EXPECT_EQ(me.at("/userName"), "admin");
    EXPECT_EQ(me.headers.get("X-Databricks-Org-Id"), workspace);
  }
  Plane again(folder.path());
  EXPECT_EQ(again.token(), token);
  EXPECT_EQ(again.control().workspace_id(), workspace);
  EXPECT_EQ(again.call("GET", "/api/2.0/serving-endpoints").at("/endpoints").as_array().size(), 6u);
}

TEST(Bootstrap, OneProcessPerFolder) {
  TemporaryFolder folder;
  DataFolder first(folder.path() / "data");
  try {
    DataFolder second(folder.path() / "data");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.message.find("in use by another tessera"), std::string::npos);
  }
}

TEST(Bootstrap, LongDataFoldersKeepShortSockets) {
  TemporaryFolder folder;
  const fs::path data = folder.path() / std::string(100, 'x');
  fs::create_directories(data);
  const fs::path sockets = prepare_socket_folder("", data);
  EXPECT_LE(sockets.string().size(), 70u);
  fs::remove_all(sockets);
  EXPECT_THROW(prepare_socket_folder(data, data), Error);
}

TEST(Bootstrap, PreconfiguredEndpointsSayWhatIsMissing) {
  TemporaryFolder folder;
  Plane plane(folder.path());
  const std::string name = "databricks-meta-llama-3-3-70b-instruct";
  Reply reply = plane.endpoint(name);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.at("/state/ready"), "NOT_READY");
  EXPECT_EQ(reply.at("/state/config_update"), "NOT_UPDATING");
  EXPECT_EQ(reply.at("/endpoint_type"), "FOUNDATION_MODEL_API");
  EXPECT_EQ(reply.at("/task"), "llm/v1/chat");
  const std::string description(reply.at("/description").as_string());
  EXPECT_NE(description.find("weights"), std::string::npos);
  EXPECT_NE(description.find("Remedy"), std::string::npos);
  EXPECT_NE(description.find("Llama 3.3 Community License"), std::string::npos);
  EXPECT_EQ(reply.at("/config/served_entities/0/foundation_model/display_name"),
            "Meta-Llama-3.3-70B-Instruct");
  EXPECT_EQ(reply.at("/config/served_entities/0/type"), "FOUNDATION_MODEL");
  EXPECT_FALSE(reply.body.contains("creator"));
  EXPECT_EQ(plane.find(name)->availability(), catalog::Availability::kNeverReady);
  EXPECT_EQ(plane.call("DELETE", "/api/2.0/serving-endpoints/" + name).code(), "PERMISSION_DENIED");
  EXPECT_EQ(plane.call("PUT", "/api/2.0/serving-endpoints/" + name + "/config", "{}").status, 403);
  // Users may query and not manage.
  Reply seen = plane.call("GET", "/api/2.0/serving-endpoints/" + name, "", kBobsToken);
  EXPECT_EQ(seen.at("/permission_level"), "CAN_QUERY");
}

TEST(Bootstrap, PreconfiguredEndpointStartsWhenWeightsArrive) {
  TemporaryFolder folder;
  Plane plane(folder.path());
  const fs::path weights = folder.path() / "weights";
  std::ofstream(weights) << "\n";
  const std::string name = "databricks-bge-large-en";
  const std::string body =
      R"({"catalog_name":"system","schema_name":"ai","model_name":"bge_large_en_v1_5","source":")" +
      weights.string() + R"("})";
  EXPECT_EQ(plane.call("POST", "/api/2.1/unity-catalog/models/versions", body, kBobsToken).status,
            403);
  ASSERT_EQ(plane.call("POST", "/api/2.1/unity-catalog/models/versions", body).status, 200);
  ASSERT_EQ(plane
                .call("PATCH",
                      "/api/2.1/unity-catalog/models/system.ai.bge_large_en_v1_5/versions/1/"
                      "finalize")
                .status,
            200);
  ASSERT_TRUE(plane.wait_state(name, "READY", "NOT_UPDATING"));
  EXPECT_EQ(std::string(plane.endpoint(name).at("/description").as_string()).find("Not ready"),
            std::string::npos);
  EXPECT_TRUE(plane.control().ready());
}

TEST(Bootstrap, DefaultModelsStartWhereTheirFilesExist) {
  TemporaryFolder folder;
  const fs::path chat = folder.path() / "chat.gguf", embedding = folder.path() / "embedding";
  std::ofstream(chat) << "\n";
  auto defaults = shipped_default_models(chat, embedding);
  {
    Plane plane(folder.path(), defaults);
    ASSERT_TRUE(plane.wait_state("smollm2-135m-instruct", "READY", "NOT_UPDATING"));
    EXPECT_EQ(plane.endpoint("all-minilm-l6-v2").status, 404);
    Reply reply = plane.endpoint("smollm2-135m-instruct");
    EXPECT_EQ(reply.at("/config/served_entities/0/entity_name"), "system.ai.smollm2_135m_instruct");
    EXPECT_EQ(reply.at("/config/served_entities/0/name"), "smollm2_135m_instruct-1");
    const auto* endpoint = plane.find("smollm2-135m-instruct");
    EXPECT_EQ(endpoint->active->entities[0].model_id, "smollm2-135m-instruct");
    EXPECT_EQ(endpoint->active->entities[0].max_model_len, 8192);
    Reply model =
        plane.call("GET", "/api/2.1/unity-catalog/models/system.ai.smollm2_135m_instruct");
    EXPECT_EQ(model.at("/license/name"), "Apache-2.0");
  }
  // The files of the second arrive, those of the first move, and the first endpoint is followed.
  std::ofstream(embedding) << "\n";
  const fs::path moved = folder.path() / "moved.gguf";
  fs::rename(chat, moved);
  defaults = shipped_default_models(moved, embedding);
  {
    Plane plane(folder.path(), defaults);
    ASSERT_TRUE(plane.wait_state("all-minilm-l6-v2", "READY", "NOT_UPDATING"));
    ASSERT_TRUE(plane.wait_state("smollm2-135m-instruct", "READY", "NOT_UPDATING"));
    EXPECT_EQ(plane.find("smollm2-135m-instruct")->active->entities[0].source, moved.string());
    EXPECT_EQ(plane.call("DELETE", "/api/2.0/serving-endpoints/all-minilm-l6-v2").status, 200);
  }
  // A deleted one stays deleted.
  Plane plane(folder.path(), defaults);
  EXPECT_EQ(plane.endpoint("all-minilm-l6-v2").status, 404);
}

}  // namespace
}  // namespace tessera::control
