#include "gateway/external_fixture.h"

namespace tessera::gateway {
namespace {

// --- Plain answers ---

TEST_F(ExternalTest, PlainAnswer) {
  const Reply reply = chat(R"("temperature":0.5)");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object tree = reply.tree();
  EXPECT_EQ(tree.at("choices").at(0).at("message").at("content").as_string(), "Two.");
  EXPECT_EQ(tree.at("model").as_string(), "gpt-test-2026");
  EXPECT_EQ(tree.at("usage").at("total_tokens").as_int64(), 11);
  EXPECT_EQ(reply.header("x-provider-request-id"), "req-77");
  EXPECT_EQ(reply.header("served-model-name"), "first");
  const http::Request wire = provider_->last();
  EXPECT_EQ(wire.headers.get("authorization"), "Bearer " + std::string(kKey));
  EXPECT_EQ(wire.headers.get("x-request-id"), std::nullopt);
  EXPECT_EQ(parse_json_object(wire.body).at("model").as_string(), "gpt-test");
  const catalog::UsageRecord row = record();
  EXPECT_EQ(row.served_entity_name, "first");
  EXPECT_EQ(row.status_code, 200);
  EXPECT_EQ(row.input_tokens, 9);
  EXPECT_EQ(row.output_tokens, 2);
  EXPECT_EQ(row.finish_reason, "stop");
  EXPECT_FALSE(row.estimated);
}

TEST_F(ExternalTest, NativeRouteNamesTheServedModel) {
  const Reply reply = post("/serving-endpoints/gpt/invocations", say("1+1?"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.tree().at("served_model_name").as_string(), "first");
}

TEST_F(ExternalTest, UsageThatIsNotToldIsEstimated) {
  in_turn({[] { return chat_answer(""); }});
  const Reply reply = chat();
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object tree = reply.tree();
  const json::value& usage = tree.at("usage");
  EXPECT_EQ(usage.at("prompt_tokens").as_int64(), 1);      // "1+1?"
  EXPECT_EQ(usage.at("completion_tokens").as_int64(), 1);  // "Two."
  EXPECT_EQ(usage.at("total_tokens").as_int64(), 2);
  EXPECT_TRUE(record().estimated);
  EXPECT_EQ(record().output_tokens, 1);
}

TEST_F(ExternalTest, WrongTask) {
  const Reply reply = post("/v1/embeddings", R"({"model":"gpt","input":"x"})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(code(reply), "invalid_endpoint_task");
  EXPECT_EQ(provider_->calls(), 0);
}

TEST_F(ExternalTest, UnknownFieldsGoOn) {
  ASSERT_EQ(chat(R"("safe_prompt":true)").status, 200);
  EXPECT_TRUE(parse_json_object(provider_->last().body).at("safe_prompt").as_bool());
}

TEST_F(ExternalTest, ReasoningInContentWhereTheEndpointSaysSo) {
  publish({endpoint("gpt", {external("first", {{"reasoning_format", "databricks"}})})});
  in_turn({[] {
             return FakeProvider::json(
                 R"({"id":"c","created":7,"model":"m","choices":[{"index":0,"message":{"role":)"
                 R"("assistant","content":"Two.","reasoning_content":"one and one"},)"
                 R"("finish_reason":"stop"}]})");
           },
           [this] { return provider_->stream(stream_pieces()); }});
  const Reply reply = chat();
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object tree = reply.tree();
  const json::value& content = tree.at("choices").at(0).at("message").at("content");
  ASSERT_TRUE(content.is_array()) << reply.body;
  EXPECT_EQ(content.at(0).at("type").as_string(), "reasoning");
  EXPECT_EQ(content.at(1).at("text").as_string(), "Two.");
  EXPECT_EQ(events(chat(R"("stream":true)").body).back(), "[DONE]");
}

// --- Retries (external-providers 1.12) ---

TEST_F(ExternalTest, AsksAgainWhatMayPass) {
  for (const int status : {408, 409, 429, 500, 502, 503, 504, 529}) {
    in_turn({[=] {
               return failure(status, {{"retry-after-ms", "1"}});
             },
             [] { return chat_answer(); }});
    const int before = provider_->calls();
    EXPECT_EQ(chat().status, 200) << status;
    EXPECT_EQ(provider_->calls() - before, 2) << status;
  }
  EXPECT_EQ(record_count(8), 8u);  // one row each
}

TEST_F(ExternalTest, ThreeTriesInAll) {
  in_turn({[] { return failure(503, {{"retry-after-ms", "2"}}); }});
  const Reply reply = chat();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(code(reply), "provider_overloaded");
  EXPECT_EQ(provider_->calls(), 3);
  publish({endpoint("gpt", {external("first", {{"max_retries", "0"}})})});
  EXPECT_EQ(chat().status, 503);
  EXPECT_EQ(provider_->calls(), 4);
}

TEST_F(ExternalTest, DoesNotAskAgain) {
  struct Case {
    int status;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string code;
    int told;
  };
  for (const Case& c :
       {Case{400, {}, "bad", 400}, Case{401, {}, "invalid_api_key", 502},
        Case{404, {}, "model_not_found", 404}, Case{429, {}, "insufficient_quota", 429},
        Case{503, {{"x-should-retry", "false"}}, "x", 503},
        Case{429, {{"retry-after", "61"}}, "x", 429}}) {
    in_turn({[&] { return failure(c.status, c.headers, c.code); }});
    const int before = provider_->calls();
    const Reply reply = chat();
    EXPECT_EQ(reply.status, c.told) << reply.body;
    EXPECT_EQ(provider_->calls() - before, 1) << c.status;
    if (!c.headers.empty() && c.headers[0].first == "retry-after") {
      EXPECT_EQ(reply.header("retry-after"), "61");
      EXPECT_EQ(reply.header("retry-after-ms"), "61000");
    }
  }
}

TEST_F(ExternalTest, AnOrderToRetryIsObeyed) {
  in_turn({[] {
             return failure(400, {{"x-should-retry", "true"}, {"retry-after-ms", "1"}});
           },
           [] { return chat_answer(); }});
  EXPECT_EQ(chat().status, 200);
}

// --- Fallback (data-plane 6.7) ---

TEST_F(ExternalTest, FallsOverBeforeItAsksAgain) {
  catalog::Endpoint both = endpoint("gpt", {external("first"), external("second")}, {100, 0});
  both.fallback_enabled = true;
  publish({both});
  for (const int status : {401, 429, 500, 503}) {
    in_turn({[=] { return failure(status); }, [] { return chat_answer(); }});
    const int before = provider_->calls();
    const Reply reply = chat();
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.header("served-model-name"), "second");
    EXPECT_EQ(provider_->calls() - before, 2);
  }
  EXPECT_EQ(record(3).served_entity_name, "second");
  // The client's mistakes stay where they are; an answer that is none counts as a failure.
  in_turn({[] { return failure(400); }});
  EXPECT_EQ(chat().status, 400);
  in_turn({[] { return FakeProvider::json("<html>"); }, [] { return chat_answer(); }});
  EXPECT_EQ(chat().header("served-model-name"), "second");
  // All fail: the last error is told, after the last one's retries.
  in_turn({[] { return failure(429); }, [] { return failure(500, {{"retry-after-ms", "1"}}); }});
  EXPECT_EQ(chat().status, 502);
}

TEST_F(ExternalTest, AStreamThatFailsAtItsFirstEventFallsOver) {
  catalog::Endpoint both = endpoint("gpt", {external("first"), external("second")}, {100, 0});
  both.fallback_enabled = true;
  publish({both});
  in_turn({[this] {
             return provider_->stream({R"(data: {"error":{"message":"busy","type":"server_error"}})"
                                       "\n\n"});
           },
           [this] { return provider_->stream(stream_pieces()); }});
  const Reply reply = chat(R"("stream":true)");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("served-model-name"), "second");
  EXPECT_EQ(events(reply.body).back(), "[DONE]");
}

// --- Failures ---

TEST_F(ExternalTest, ProvidersThatAreNotThere) {
  publish({endpoint("gpt", {external("first", {{"base_url_override", "http://127.0.0.1:1"},
                                               {"max_retries", "0"}})}),
           endpoint("private", {external("second", {{"base_url_override", "http://192.168.1.1"}})}),
           endpoint("slow", {external("third", {{"request_timeout_s", "1"}})})});
  const Reply refused = chat();
  EXPECT_EQ(refused.status, 502);
  EXPECT_EQ(code(refused), "provider_unreachable");
  EXPECT_EQ(refused.body.find("127.0.0.1"), std::string::npos) << refused.body;
  const Reply forbidden = chat("", "private");
  EXPECT_EQ(forbidden.status, 502);
  EXPECT_NE(forbidden.body.find("not a public one"), std::string::npos) << forbidden.body;
  provider_->answer([](const http::Request&) { return FakeProvider::Told{chat_answer(), 30s}; });
  const Reply late = chat("", "slow");
  EXPECT_EQ(late.status, 504);
  EXPECT_EQ(code(late), "provider_timeout");
  EXPECT_EQ(provider_->calls(), 1);
}

TEST_F(ExternalTest, KeysAreNeverTold) {
  in_turn({[] {
    return FakeProvider::json(
        R"({"error":{"message":"Incorrect API key provided: )" + std::string(kKey) +
            R"(.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}})",
        401);
  }});
  for (const char* path : {"/v1/chat/completions", "/serving-endpoints/gpt/invocations"}) {
    const Reply reply = post(path, say("1+1?", R"("model":"gpt")"));
    EXPECT_EQ(reply.status, 502);
    EXPECT_EQ(reply.body.find(kKey), std::string::npos) << reply.body;
  }
}

// --- Streams ---

TEST_F(ExternalTest, StreamOnOpenAiRoutes) {
  streams(stream_pieces());
  const Reply plain = chat(R"("stream":true)");
  ASSERT_EQ(plain.status, 200) << plain.body;
  EXPECT_FALSE(plain.header("x-provider-request-id").empty());
  std::vector<std::string> seen = events(plain.body);
  ASSERT_EQ(seen.size(), 5u) << plain.body;
  EXPECT_EQ(plain.body.find("usage"), std::string::npos);
  EXPECT_EQ(parse_json_object(seen[1]).at("choices").at(0).at("delta").at("content").as_string(),
            "Two");
  EXPECT_EQ(seen.back(), "[DONE]");
  EXPECT_EQ(record().output_tokens, 2);
  EXPECT_TRUE(record().streaming);
  EXPECT_GT(record().time_to_first_byte_ms + 1, 0);

  const Reply asked = chat(R"("stream":true,"stream_options":{"include_usage":true})");
  seen = events(asked.body);
  ASSERT_EQ(seen.size(), 6u) << asked.body;
  EXPECT_TRUE(parse_json_object(seen[0]).at("usage").is_null());
  const json::object last = parse_json_object(seen[4]);
  EXPECT_TRUE(last.at("choices").as_array().empty());
  EXPECT_EQ(last.at("usage").at("total_tokens").as_int64(), 11);
  EXPECT_EQ(last.at("id").as_string(), "chatcmpl-s");
}

TEST_F(ExternalTest, StreamOnNativeRoutes) {
  streams(stream_pieces());
  const Reply reply = post("/serving-endpoints/gpt/invocations", say("1+1?", R"("stream":true)"));
  const std::vector<std::string> seen = events(reply.body);
  ASSERT_EQ(seen.size(), 5u) << reply.body;
  EXPECT_TRUE(parse_json_object(seen[1]).at("usage").is_null());
  const json::object last = parse_json_object(seen[3]);
  EXPECT_EQ(last.at("choices").at(0).at("finish_reason").as_string(), "stop");
  EXPECT_EQ(last.at("usage").at("total_tokens").as_int64(), 11);
}

TEST_F(ExternalTest, StreamWithoutUsageIsEstimated) {
  streams(stream_pieces(false));
  const Reply reply = chat(R"("stream":true,"stream_options":{"include_usage":true})");
  const std::vector<std::string> seen = events(reply.body);
  ASSERT_EQ(seen.size(), 6u) << reply.body;
  EXPECT_EQ(parse_json_object(seen[4]).at("usage").at("total_tokens").as_int64(), 2);
  EXPECT_TRUE(record().estimated);
}

TEST_F(ExternalTest, StreamCutAtEveryByte) {
  std::string all;
  for (const std::string& piece : stream_pieces()) all += piece;
  std::vector<std::string> bytes;
  for (const char c : all) bytes.emplace_back(1, c);
  streams(bytes);
  EXPECT_EQ(events(chat(R"("stream":true)").body).size(), 5u);
}

TEST_F(ExternalTest, BrokenStreamsEndInAnErrorEvent) {
  std::vector<std::string> cut = stream_pieces();
  cut.resize(2);
  streams(cut);
  const Reply truncated = chat(R"("stream":true)");
  EXPECT_EQ(truncated.status, 200);
  std::vector<std::string> seen = events(truncated.body);
  ASSERT_EQ(seen.size(), 3u) << truncated.body;
  EXPECT_EQ(parse_json_object(seen[2]).at("error").at("code").as_string(),
            "upstream_stream_truncated");
  EXPECT_EQ(record().status_code, 502);

  cut.push_back(R"(data: {"error":{"message":"overloaded","type":"server_error","code":null}})"
                "\n\n");
  streams(cut);
  const Reply told = chat(R"("stream":true)");
  seen = events(told.body);
  ASSERT_EQ(seen.size(), 3u) << told.body;
  EXPECT_NE(seen[2].find("overloaded"), std::string::npos);
  EXPECT_EQ(told.body.find("[DONE]"), std::string::npos);
}

TEST_F(ExternalTest, ErrorsBeforeTheFirstEventAreStatuses) {
  publish({endpoint("gpt", {external("first", {{"max_retries", "0"}})})});
  streams({R"(data: {"error":{"message":"no","type":"server_error"}})"
           "\n\n"});
  EXPECT_GE(chat(R"("stream":true)").status, 500);
  streams({});
  EXPECT_EQ(chat(R"("stream":true)").status, 502);
  in_turn({[] { return failure(429); }});
  EXPECT_EQ(chat(R"("stream":true)").status, 429);
  EXPECT_EQ(record_count(3), 3u);
}

TEST_F(ExternalTest, AnOverdueHeadGoesOut) {
  options_.stream_head_delay = 50ms;
  streams(stream_pieces(), 0ms, 300ms);
  const Reply reply = chat(R"("stream":true)");
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.body.starts_with(": ping\n\n")) << reply.body;
  EXPECT_EQ(events(reply.body).back(), "[DONE]");
  EXPECT_EQ(record().status_code, 200);
  // An error that comes later is an event.
  provider_->answer([](const http::Request&) { return FakeProvider::Told{failure(400), 300ms}; });
  const Reply failed = chat(R"("stream":true)");
  EXPECT_EQ(failed.status, 200);
  EXPECT_NE(failed.body.find("\"error\""), std::string::npos) << failed.body;
  EXPECT_EQ(record(1).status_code, 400);
}

// --- The client leaves ---

TEST_F(ExternalTest, ClientThatLeavesCancelsTheProvider) {
  const auto leave_after = [&](std::string members, std::chrono::milliseconds wait) {
    http::ClientRequest request =
        this->request("/v1/chat/completions", say("1+1?", "\"model\":\"gpt\"" + members));
    request.timeouts.first_byte = wait;
    request.timeouts.between_bytes = wait;
    return send(std::move(request)).status;
  };
  const auto dropped = [&](int count) {
    for (int i = 0; i < 100 && provider_->dropped() < count; ++i) std::this_thread::sleep_for(10ms);
    return provider_->dropped();
  };
  // While the provider thinks; in the middle of its stream; between two tries.
  provider_->answer([](const http::Request&) { return FakeProvider::Told{chat_answer(), 30s}; });
  EXPECT_EQ(leave_after("", 100ms), 0);
  EXPECT_EQ(dropped(1), 1);
  EXPECT_EQ(leave_after(R"(,"stream":true)", 100ms), 0);
  EXPECT_EQ(dropped(2), 2);
  streams(stream_pieces(), 10s);
  leave_after(R"(,"stream":true)", 100ms);
  EXPECT_EQ(dropped(3), 3);
  in_turn({[] { return failure(503, {{"retry-after", "30"}}); }});
  EXPECT_EQ(leave_after("", 100ms), 0);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(record(i).status_code, 499) << i;
}

// --- Embeddings ---

TEST_F(ExternalTest, EmbeddingsInPartsKeepTheirOrder) {
  publish({endpoint("embed", {external("e", {}, catalog::Task::kEmbeddings, "cohere")})});
  provider_->answer([](const http::Request& request) {
    const json::object body = parse_json_object(request.body);
    json::array vectors;
    for (const json::value& text : body.at("texts").as_array()) {
      vectors.push_back(json::array{std::stod(std::string(text.as_string())), 0.5});
    }
    const json::object answer{
        {"id", "e"},
        {"embeddings", json::object{{"float", vectors}}},
        {"meta", json::object{{"billed_units", json::object{{"input_tokens", vectors.size()}}}}}};
    return FakeProvider::Told{FakeProvider::json(to_json(json::value(answer))), 30ms};
  });
  constexpr int kInputs = 96 * 6 + 1;
  std::string inputs;
  for (int i = 0; i < kInputs; ++i) {
    inputs += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\"";
  }
  const Reply reply = post("/v1/embeddings", R"({"model":"embed","input":[)" + inputs + "]}");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object tree = reply.tree();
  const json::array& data = tree.at("data").as_array();
  ASSERT_EQ(data.size(), static_cast<std::size_t>(kInputs));
  for (int i = 0; i < kInputs; ++i) {
    EXPECT_EQ(data[static_cast<std::size_t>(i)].at("index").as_int64(), i);
    EXPECT_EQ(data[static_cast<std::size_t>(i)].at("embedding").at(0).to_number<double>(), i);
  }
  EXPECT_EQ(provider_->calls(), 7);
  EXPECT_EQ(provider_->at_once(), 4);
  EXPECT_EQ(tree.at("usage").at("prompt_tokens").as_int64(), kInputs);

  const Reply base64 =
      post("/v1/embeddings", R"({"model":"embed","input":["1"],"encoding_format":"base64"})");
  ASSERT_EQ(base64.status, 200) << base64.body;
  EXPECT_EQ(base64.tree().at("data").at(0).at("embedding").as_string(), "AACAPwAAAD8=");
  EXPECT_EQ(provider_->last().body.find("base64"), std::string::npos);
  // Any failure is that of the whole.
  in_turn({[] { return failure(400); }});
  EXPECT_EQ(post("/v1/embeddings", R"({"model":"embed","input":[)" + inputs + "]}").status, 400);
}

// --- Images (external-providers 1.5) ---

TEST_F(ExternalTest, ImagesAreFetchedWhereTheEndpointSaysSo) {
  publish({endpoint("gpt", {external("first", {{"image_url_policy", "inline"}})})});
  const std::string png = std::string("\x89PNG\r\n\x1a\n", 8) + "0123456789";
  provider_->answer([&](const http::Request& request) {
    if (request.path == "/elsewhere") {
      return FakeProvider::Told{FakeProvider::json("", 302, {{"location", "/image"}})};
    }
    if (request.path == "/image") {
      http::Response response;
      response.body = png;
      return FakeProvider::Told{std::move(response)};
    }
    return FakeProvider::Told{chat_answer()};
  });
  const auto ask = [&](const std::string& url) {
    return post(
        "/v1/chat/completions",
        R"({"model":"gpt","messages":[{"role":"user","content":[{"type":"text","text":"what?"},)"
        R"({"type":"image_url","image_url":{"url":")" +
            url + R"("}}]}]})");
  };
  for (const char* path : {"/image", "/elsewhere"}) {
    const Reply reply = ask(provider_->url() + path);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(provider_->last().body.find("data:image/png;base64," + base64_encode(png)),
              std::string::npos)
        << provider_->last().body;
  }
  for (const char* url : {"http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/x.png"}) {
    const Reply reply = ask(url);
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_EQ(code(reply), "unsupported_value");
    EXPECT_EQ(reply.tree().at("error").at("param").as_string(), "messages[0].content[1]");
  }
  // A redirect into the server's own network.
  provider_->answer([&](const http::Request&) {
    return FakeProvider::Told{
        FakeProvider::json("", 302, {{"location", "http://169.254.169.254/"}})};
  });
  EXPECT_EQ(ask(provider_->url() + "/image").status, 400);
}

// --- TLS ---

class SecureTest : public ExternalTest {
 protected:
  std::string ca_file() override {
    files_ = http::make_certificate(folder_);
    return files_->certificate_pem_path;
  }
  std::optional<http::TlsFiles> files_;
};

TEST_F(SecureTest, CertificatesAreVerified) {
  FakeProvider secure(pool_.get_executor(), files_);
  secure.answer([](const http::Request&) { return FakeProvider::Told{chat_answer()}; });
  publish({endpoint("gpt", {external("first", {{"base_url_override", secure.url("localhost")}})}),
           endpoint("other", {external("second", {{"base_url_override", secure.url("127.0.0.1")},
                                                  {"max_retries", "0"}})})});
  EXPECT_EQ(chat().status, 200);
  const Reply reply = chat("", "other");  // not the certificate's name
  EXPECT_EQ(reply.status, 502);
  EXPECT_EQ(code(reply), "provider_unreachable");
  EXPECT_NE(reply.body.find("TLS"), std::string::npos) << reply.body;
  EXPECT_EQ(secure.calls(), 1);
  server_.reset();
  gateway_.reset();
}

}  // namespace
}  // namespace tessera::gateway
