// Anthropic's Messages and OpenAI's Responses: verbatim to their own providers, translated to all
// others.
#include "gateway/external_fixture.h"

namespace tessera::gateway {
namespace {

constexpr const char* kAsk =
    R"({ "model" : "claude", "max_tokens": 5, "messages": [{"role":"user","content":"1+1?"}], "x": [1, 2] )";

class OtherApisTest : public ExternalTest {
 protected:
  void SetUp() override {
    ExternalTest::SetUp();
    publish({endpoint("claude", {external("c", {}, catalog::Task::kChat, "anthropic")}),
             endpoint("gpt", {external("first")}),
             endpoint("local", {entity("a", {a_->socket()})})});
  }
  static http::Response message() {
    return FakeProvider::json(
        R"({"id":"msg_1","type":"message","role":"assistant","model":"gpt-test","content":[{"type":"text","text":"Two."}],)"
        R"("stop_reason":"end_turn","usage":{"input_tokens":7,"cache_read_input_tokens":2,"output_tokens":3}})",
        200, {{"request-id", "req_a"}});
  }
  static std::vector<std::string> message_events() {
    return {
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","
        "\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
        "{\"type\":\"text_delta\",\"text\":\"Two.\"}}\n\n",
        "event: message_delta\ndata: "
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
        "\"usage\":{\"output_tokens\":3}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"};
  }
  static std::string joined(const std::vector<std::string>& pieces) {
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    return all;
  }
};

TEST_F(OtherApisTest, MessagesGoToAnthropicAsTheyAre) {
  in_turn({[] { return message(); }});
  http::Headers headers = header("x-api-key", kToken);
  headers.set("authorization", "");
  headers.erase("authorization");
  headers.set("anthropic-beta", "b1");
  headers.set("cookie", "secret");
  for (const char* path : {"/serving-endpoints/anthropic/v1/messages",
                           "/ai-gateway/anthropic/v1/messages", "/v1/messages"}) {
    http::ClientRequest request = this->request(path, kAsk + std::string("}"), headers);
    request.headers.erase("authorization");
    const Reply reply = send(std::move(request));
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.body, message().body);
    EXPECT_EQ(reply.header("x-provider-request-id"), "req_a");
  }
  const http::Request wire = provider_->last();
  EXPECT_EQ(wire.path, "/v1/messages");
  EXPECT_EQ(
      wire.body,
      R"({ "model" : "gpt-test", "max_tokens": 5, "messages": [{"role":"user","content":"1+1?"}], "x": [1, 2] })");
  EXPECT_EQ(wire.headers.get("x-api-key"), kKey);
  EXPECT_EQ(wire.headers.get("anthropic-version"), "2023-06-01");
  EXPECT_EQ(wire.headers.get("anthropic-beta"), "b1");
  EXPECT_EQ(wire.headers.get("cookie"), std::nullopt);
  EXPECT_EQ(wire.headers.get("authorization"), std::nullopt);
  const catalog::UsageRecord row = record();
  EXPECT_EQ(row.input_tokens, 9);
  EXPECT_EQ(row.output_tokens, 3);
  EXPECT_EQ(row.finish_reason, "end_turn");
  EXPECT_EQ(row.status_code, 200);
  EXPECT_EQ(row.served_entity_name, "c");
}

TEST_F(OtherApisTest, MessageStreamsAreRelayedAndMetered) {
  streams(message_events());
  const Reply reply = post("/v1/messages", kAsk + std::string(R"(,"stream":true})"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.body, joined(message_events()));
  EXPECT_EQ(record().input_tokens, 7);
  EXPECT_EQ(record().output_tokens, 3);
  EXPECT_TRUE(record().streaming);
  // One that breaks off ends in an event of the API's own form.
  std::vector<std::string> cut = message_events();
  cut.resize(2);
  streams(cut);
  const Reply broken = post("/v1/messages", kAsk + std::string(R"(,"stream":true})"));
  EXPECT_NE(broken.body.find("event: error\ndata: {\"type\":\"error\""), std::string::npos)
      << broken.body;
  EXPECT_EQ(record(1).status_code, 502);
}

TEST_F(OtherApisTest, ErrorsKeepTheProvidersForm) {
  in_turn({[] {
    return FakeProvider::json(
        R"({"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too many"}})",
        400);
  }});
  const Reply theirs = post("/v1/messages", kAsk + std::string("}"));
  EXPECT_EQ(theirs.status, 400);
  EXPECT_EQ(theirs.tree().at("error").at("message").as_string(), "max_tokens: too many");
  EXPECT_EQ(record().status_code, 400);
  // Our own: the same form.
  const Reply missing = post("/v1/messages", R"({"model":"nobody","messages":[]})");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.tree().at("type").as_string(), "error");
  EXPECT_EQ(missing.tree().at("error").at("type").as_string(), "not_found_error");
  // The provider's word about our key is not for the client.
  in_turn({[] {
    return FakeProvider::json(
        R"({"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}})",
        401);
  }});
  EXPECT_EQ(post("/v1/messages", kAsk + std::string("}")).status, 502);
  in_turn({[] { return failure(529, {{"retry-after-ms", "1"}}); }, [] { return message(); }});
  EXPECT_EQ(post("/v1/messages", kAsk + std::string("}")).status, 200);
}

TEST_F(OtherApisTest, MessagesForAnyModel) {
  for (const char* model : {"gpt", "local"}) {
    streams({});
    in_turn({[] { return chat_answer(); }});
    const std::string ask = R"({"model":")" + std::string(model) +
                            R"(","max_tokens":5,"messages":[{"role":"user","content":"hello"}])";
    const Reply plain = post("/v1/messages", ask + "}");
    ASSERT_EQ(plain.status, 200) << plain.body;
    EXPECT_EQ(plain.tree().at("type").as_string(), "message");
    EXPECT_FALSE(plain.tree().at("content").at(0).at("text").as_string().empty());
    EXPECT_GT(plain.tree().at("usage").at("output_tokens").as_int64(), 0);
    streams(stream_pieces());
    const Reply stream = post("/v1/messages", ask + R"(,"stream":true})");
    ASSERT_EQ(stream.status, 200) << stream.body;
    EXPECT_TRUE(stream.body.starts_with("event: message_start\n")) << stream.body;
    EXPECT_NE(stream.body.find("event: content_block_delta\n"), std::string::npos);
    EXPECT_NE(stream.body.find("event: message_stop\n"), std::string::npos);
    EXPECT_EQ(stream.body.find("[DONE]"), std::string::npos);
  }
  EXPECT_EQ(record_count(4), 4u);
  EXPECT_EQ(record(3).output_tokens, 4);
  const Reply count = post("/v1/messages/count_tokens",
                           R"({"model":"gpt","messages":[{"role":"user","content":"hello"}]})");
  EXPECT_EQ(count.status, 404);
  EXPECT_EQ(count.tree().at("type").as_string(), "error");
}

TEST_F(OtherApisTest, CountTokens) {
  in_turn({[] { return FakeProvider::json(R"({"input_tokens":14})"); }});
  const Reply reply = post("/v1/messages/count_tokens", kAsk + std::string("}"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.tree().at("input_tokens").as_int64(), 14);
  EXPECT_EQ(provider_->last().path, "/v1/messages/count_tokens");
}

TEST_F(OtherApisTest, Responses) {
  in_turn({[] {
    return FakeProvider::json(
        R"({"id":"resp_1","object":"response","status":"completed","output":[],)"
        R"("usage":{"input_tokens":4,"output_tokens":6,"total_tokens":10}})");
  }});
  for (const char* path :
       {"/serving-endpoints/responses", "/ai-gateway/openai/v1/responses", "/v1/responses"}) {
    const Reply reply = post(path, R"({"model":"gpt","input":"hi","unknown":{"a":1}})");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.tree().at("id").as_string(), "resp_1");
  }
  EXPECT_EQ(provider_->last().path, "/v1/responses");
  EXPECT_EQ(provider_->last().body, R"({"model":"gpt-test","input":"hi","unknown":{"a":1}})");
  EXPECT_EQ(record().input_tokens, 4);
  EXPECT_EQ(record().output_tokens, 6);
  const Reply refused =
      post("/v1/responses", R"({"model":"gpt","input":"hi","previous_response_id":"r"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(code(refused), "unsupported_parameter");
  // A local model.
  const Reply local = post("/v1/responses", R"({"model":"local","input":"hello"})");
  ASSERT_EQ(local.status, 200) << local.body;
  EXPECT_EQ(local.tree().at("object").as_string(), "response");
  const Reply stream = post("/v1/responses", R"({"model":"local","input":"hello","stream":true})");
  EXPECT_NE(stream.body.find("event: response.completed\n"), std::string::npos) << stream.body;
  EXPECT_EQ(post("/v1/responses", R"({"model":"local","input":"status 503"})").status, 503);
}

TEST_F(OtherApisTest, ResponsesOfAzure) {
  publish({endpoint("azure", {external("z", {{"openai_api_type", "azure"},
                                             {"openai_api_base", "https://x.openai.azure.com/"},
                                             {"openai_api_version", "2024-10-21"},
                                             {"openai_deployment_name", "dep"}})})});
  in_turn({[] { return FakeProvider::json(R"({"id":"resp_1","status":"completed"})"); }});
  const Reply reply = post("/v1/responses", R"({"model":"azure","input":"hi"})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(provider_->last().path, "/openai/v1/responses");
  EXPECT_EQ(provider_->last().headers.get("api-key"), kKey);
  EXPECT_EQ(provider_->last().body, R"({"model":"dep","input":"hi"})");
}

TEST_F(OtherApisTest, ResponseStreams) {
  const std::vector<std::string> pieces = {
      "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
      "event: response.output_text.delta\ndata: {\"delta\":\"x\"}\n\n",
      "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":"
      "\"completed\",\"usage\":{\"input_tokens\":4,\"output_tokens\":6}}}\n\n"};
  streams(pieces);
  const Reply reply = post("/v1/responses", R"({"model":"gpt","input":"hi","stream":true})");
  EXPECT_EQ(reply.body, joined(pieces));
  EXPECT_EQ(record().output_tokens, 6);
  EXPECT_EQ(record().status_code, 200);
}

TEST_F(OtherApisTest, ConnectionTest) {
  publish({endpoint("both",
                    {external("first"),
                     external("second", {{"base_url_override", "http://127.0.0.1:1"}})},
                    {50, 50}),
           endpoint("local", {entity("a", {a_->socket()})})});
  in_turn({[] { return chat_answer(); }});
  const Reply reply = post("/api/2.0/serving-endpoints/both/test", "{}");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object tree = reply.tree();
  const json::array& results = tree.at("results").as_array();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(results[0].at("ok").as_bool());
  EXPECT_EQ(results[0].at("model").as_string(), "gpt-test-2026");
  EXPECT_FALSE(results[1].at("ok").as_bool());
  EXPECT_EQ(results[1].at("error").at("code").as_string(), "provider_unreachable");
  EXPECT_EQ(post("/api/2.0/serving-endpoints/both/test", R"({"served_entity_name":"first"})")
                .tree()
                .at("results")
                .as_array()
                .size(),
            1u);
  EXPECT_EQ(post("/api/2.0/serving-endpoints/both/test", R"({"served_entity_name":"x"})").status,
            400);
  EXPECT_EQ(post("/api/2.0/serving-endpoints/local/test", "{}").status, 400);
  EXPECT_EQ(post("/api/2.0/serving-endpoints/both/test", "{}",
                 header("authorization", "Bearer dapi-guest"))
                .status,
            403);
  EXPECT_EQ(record_count(0), 0u);
}

}  // namespace
}  // namespace tessera::gateway
