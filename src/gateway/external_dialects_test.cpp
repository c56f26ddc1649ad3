// What differs between providers below their dialects: credentials that run out, and streams that
// are not server-sent events.
#include "gateway/external_fixture.h"
#include "providers/aws_event_stream.h"

namespace tessera::gateway {
namespace {

class DialectsTest : public ExternalTest {
 protected:
  catalog::ServedEntity azure() const {
    catalog::ServedEntity entity =
        external("azure", {{"openai_api_type", "azuread"},
                           {"openai_api_base", "https://x.openai.azure.com"},
                           {"openai_api_version", "2024-10-21"},
                           {"openai_deployment_name", "d"},
                           {"microsoft_entra_tenant_id", "t"},
                           {"microsoft_entra_client_id", "c"},
                           {"token_url_override", provider_->url() + "/token"}});
    entity.external_model->secrets["microsoft_entra_client_secret"].value = "entra-secret";
    return entity;
  }
  catalog::ServedEntity bedrock(std::map<std::string, std::string> config = {}) const {
    config.insert({{"aws_region", "us-east-1"}, {"bedrock_provider", "anthropic"}});
    catalog::ServedEntity entity =
        external("bedrock", std::move(config), catalog::Task::kChat, "amazon-bedrock");
    entity.external_model->name = "claude-3-5-sonnet-20241022-v2:0";
    entity.external_model->secrets["aws_access_key_id"].value = "AKTESSERAEXAMPLE";
    entity.external_model->secrets["aws_secret_access_key"].value = "tessera-not-a-real-secret";
    return entity;
  }
  static http::Response claude_answer() {
    return FakeProvider::json(
        R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Two."}],)"
        R"("stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":3}})");
  }
};

TEST_F(DialectsTest, ATokenThatIsRefusedIsRenewedOnce) {
  publish({endpoint("gpt", {azure()})});
  auto tokens = std::make_shared<std::atomic<int>>(0);
  auto good = std::make_shared<std::atomic<int>>(1);
  provider_->answer([=](const http::Request& request) {
    if (request.path == "/token") {
      return FakeProvider::Told{FakeProvider::json(R"({"expires_in":3599,"access_token":"t)" +
                                                   std::to_string(++*tokens) + R"("})")};
    }
    if (request.headers.get("authorization") != "Bearer t" + std::to_string(*good)) {
      return FakeProvider::Told{FakeProvider::json(
          R"({"error":{"code":"401","message":"The token is not valid."}})", 401)};
    }
    return FakeProvider::Told{chat_answer()};
  });
  EXPECT_EQ(chat().status, 200);
  EXPECT_EQ(chat().status, 200);
  EXPECT_EQ(*tokens, 1);
  *good = 2;
  EXPECT_EQ(chat().status, 200);
  EXPECT_EQ(*tokens, 2);
  *good = 99;
  const Reply refused = chat();
  EXPECT_EQ(refused.status, 502);
  EXPECT_EQ(code(refused), "provider_authentication_failed");
  EXPECT_EQ(*tokens, 3);  // once, not again and again
}

TEST_F(DialectsTest, ManyRequestsShareOneToken) {
  publish({endpoint("gpt", {azure()})});
  auto tokens = std::make_shared<std::atomic<int>>(0);
  provider_->answer([=](const http::Request& request) {
    if (request.path != "/token") return FakeProvider::Told{chat_answer()};
    ++*tokens;
    return FakeProvider::Told{FakeProvider::json(R"({"expires_in":3599,"access_token":"t"})"),
                              100ms};
  });
  std::vector<std::future<Reply>> replies;
  for (int i = 0; i < 100; ++i) {
    http::ClientRequest one = request("/v1/chat/completions", say("1+1?", R"("model":"gpt")"));
    replies.push_back(
        asio::co_spawn(asio::make_strand(pool_), exchange(std::move(one)), asio::use_future));
  }
  for (auto& reply : replies) EXPECT_EQ(reply.get().status, 200);
  EXPECT_EQ(*tokens, 1);
}

TEST_F(DialectsTest, RequestsToBedrockAreSigned) {
  publish({endpoint("gpt", {bedrock()})});
  provider_->answer([](const http::Request&) { return FakeProvider::Told{claude_answer()}; });
  const Reply reply = chat();
  ASSERT_EQ(reply.status, 200) << reply.body;
  const http::Request wire = provider_->last();
  EXPECT_EQ(wire.target, "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/invoke");
  EXPECT_TRUE(wire.headers.get("authorization").value_or("").starts_with("AWS4-HMAC-SHA256 "));
}

TEST_F(DialectsTest, AnExpiredRoleIsTakenOnAgain) {
  publish({endpoint("gpt", {bedrock({{"aws_role_arn", "arn:aws:iam::1:role/r"},
                                     {"sts_endpoint_override", provider_->url()}})})});
  auto roles = std::make_shared<std::atomic<int>>(0);
  provider_->answer([=](const http::Request& request) {
    if (request.path == "/") {
      http::Response response;
      response.body =
          "<AssumeRoleResponse><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s"
          "</SecretAccessKey><SessionToken>TOK" +
          std::to_string(++*roles) +
          "</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
          "</AssumeRoleResponse>";
      return FakeProvider::Told{std::move(response)};
    }
    if (request.headers.get("x-amz-security-token") == "TOK1") {
      return FakeProvider::Told{FakeProvider::json(
          R"({"message":"The security token included in the request is expired"})", 403,
          {{"x-amzn-errortype", "ExpiredTokenException"}})};
    }
    return FakeProvider::Told{claude_answer()};
  });
  const Reply reply = chat();
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(*roles, 2);
}

TEST_F(DialectsTest, AwsFramesCutAnywhere) {
  publish({endpoint("gpt", {bedrock({{"max_retries", "0"}})})});
  const auto frame = [](std::string_view event) {
    const std::string payload = R"({"bytes":")" + base64_encode(event) + R"(","p":"abc"})";
    return providers::aws_frame({{":event-type", "chunk"},
                                 {":content-type", "application/json"},
                                 {":message-type", "event"}},
                                payload);
  };
  const std::string all =
      frame(
          R"({"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":7,"output_tokens":1}}})") +
      frame(
          R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})") +
      frame(
          "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
          "\"text\":"
          "\"a\xE2\x80\xA8"
          "b é 漢 😀\"}}") +
      frame(R"({"type":"content_block_stop","index":0})") +
      frame(
          R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}})") +
      frame(R"({"type":"message_stop"})");
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, all.size()}) {
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < all.size(); i += step) pieces.push_back(all.substr(i, step));
    streams(pieces);
    const Reply reply = chat(R"("stream":true)");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(reply.body.find("a\xE2\x80\xA8"
                              "b é 漢 😀"),
              std::string::npos)
        << reply.body;
    EXPECT_EQ(events(reply.body).back(), "[DONE]");
  }
  EXPECT_EQ(record(2).output_tokens, 3);
  // A byte that was changed on the way; overload at once and in the middle.
  std::string damaged = all;
  damaged[40] ^= 1;
  streams({damaged});
  const Reply bad = chat(R"("stream":true)");
  EXPECT_EQ(bad.status, 502);
  EXPECT_EQ(code(bad), "provider_bad_response");
  const std::string throttled = providers::aws_frame({{":exception-type", "throttlingException"},
                                                      {":content-type", "application/json"},
                                                      {":message-type", "exception"}},
                                                     R"({"message":"slow down"})");
  streams({throttled});
  EXPECT_EQ(chat(R"("stream":true)").status, 429);
  streams(
      {frame(
           R"({"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":7}}})") +
       throttled});
  const Reply middle = chat(R"("stream":true)");
  EXPECT_EQ(middle.status, 200);
  EXPECT_NE(middle.body.find("slow down"), std::string::npos) << middle.body;
  EXPECT_EQ(middle.body.find("[DONE]"), std::string::npos);
}

TEST_F(DialectsTest, LinesOfJson) {
  catalog::ServedEntity entity =
      external("cohere", {{"cohere_api_version", "1"}}, catalog::Task::kChat, "cohere");
  entity.external_model->name = "command-light";
  publish({endpoint("gpt", {entity})});
  const std::string all =
      "{\"is_finished\":false,\"event_type\":\"stream-start\",\"generation_id\":\"g1\"}\r\n\n"
      "{\"is_finished\":false,\"event_type\":\"text-generation\",\"text\":\"Two\"}\n"
      "{\"is_finished\":false,\"event_type\":\"text-generation\",\"text\":\".\"}\n"
      "{\"is_finished\":true,\"event_type\":\"stream-end\",\"finish_reason\":\"COMPLETE\","
      "\"response\":"
      "{\"text\":\"Two.\",\"meta\":{\"billed_units\":{\"input_tokens\":4,\"output_tokens\":2}}}}";
  std::vector<std::string> bytes;
  for (const char c : all) bytes.emplace_back(1, c);
  streams(bytes);
  const Reply reply = chat(R"("stream":true)");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(events(reply.body).back(), "[DONE]");
  EXPECT_EQ(record().output_tokens, 2);
  EXPECT_EQ(record().status_code, 200);
}

TEST_F(DialectsTest, AnEmulatedStreamSaysSo) {
  catalog::ServedEntity entity = external("j2", {}, catalog::Task::kCompletions, "ai21labs");
  entity.external_model->name = "j2-mid";
  entity.external_model->secrets["ai21labs_api_key"].value = kKey;
  publish({endpoint("text", {entity})});
  provider_->answer([](const http::Request&) {
    return FakeProvider::Told{FakeProvider::json(
        R"({"id":"x","prompt":{"text":"a","tokens":[{}]},"completions":[{"data":{"text":"done","tokens":[{},{}]},)"
        R"("finishReason":{"reason":"endoftext"}}]})")};
  });
  const Reply reply =
      post("/v1/completions", R"({"model":"text","prompt":"a","max_tokens":5,"stream":true})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.header("x-tessera-stream"), "emulated");
  EXPECT_NE(reply.body.find("\"text\":\"done\""), std::string::npos) << reply.body;
  EXPECT_EQ(events(reply.body).back(), "[DONE]");
}

}  // namespace
}  // namespace tessera::gateway
