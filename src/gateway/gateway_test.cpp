#include "gateway/gateway.h"

#include "base/strings.h"
#include "gateway/gateway_fixture.h"

namespace tessera::gateway {
namespace {

// --- Routes and plain answers ---

TEST_F(GatewayTest, NativeRouteNamesTheServedModel) {
  const Reply reply = post("/serving-endpoints/chat/invocations",
                           say("hello", R"("model":"whatever","client_request_id":"c-1",
                               "usage_context":{"project":"demo"},"user":"u")"),
                           header("user-agent", "test/1"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object tree = reply.tree();
  EXPECT_EQ(tree.at("choices").at(0).at("message").at("content").as_string(), "a b A");
  EXPECT_EQ(tree.at("model").as_string(), "model-a");
  EXPECT_EQ(tree.at("served_model_name").as_string(), "a");
  EXPECT_EQ(reply.header("served-model-name"), "a");
  EXPECT_EQ(reply.header("x-tessera-served-entity-id"), "id-a");
  EXPECT_FALSE(reply.header("x-request-id").empty());
  EXPECT_EQ(reply.header("content-type"), "application/json");

  const catalog::UsageRecord row = record();
  EXPECT_EQ(row.request_id, reply.header("x-request-id"));
  EXPECT_EQ(row.client_request_id, "c-1");
  EXPECT_EQ(row.requester, "admin@example.com");
  EXPECT_EQ(row.endpoint_name, "chat");
  EXPECT_EQ(row.served_entity_name, "a");
  EXPECT_EQ(row.entity_name, "system.ai.a");
  EXPECT_EQ(row.api_type, "llm/v1/chat");
  EXPECT_EQ(row.status_code, 200);
  EXPECT_FALSE(row.streaming);
  EXPECT_EQ(row.input_tokens, 7);
  EXPECT_EQ(row.output_tokens, 4);
  EXPECT_EQ(row.input_characters, 5);
  EXPECT_EQ(row.finish_reason, "stop");
  EXPECT_EQ(row.user_agent, "test/1");
  EXPECT_EQ(row.peer_ip, "127.0.0.1");
  EXPECT_EQ(row.usage_context,
            (std::map<std::string, std::string>{{"project", "demo"}, {"user", "u"}}));
}

TEST_F(GatewayTest, WorkerGetsWhatItNeeds) {
  http::Headers headers = header("traceparent", "00-1-2-03");
  headers.set("x-tessera-timings", "true");
  const Reply reply = post("/serving-endpoints/chat/invocations",
                           say("hello", R"("top_k":3,"client_request_id":"c")"), headers);
  EXPECT_EQ(reply.header("x-tessera-timings"), "{\"queue_ms\":1.0}");
  const json::object wire = parse_json_object(a_->last_body());
  EXPECT_EQ(wire.at("model").as_string(), "model-a");
  EXPECT_EQ(wire.at("top_k").as_int64(), 3);
  EXPECT_FALSE(wire.contains("client_request_id"));
  const http::Headers seen = a_->last_headers();
  EXPECT_EQ(seen.get("x-request-id"), reply.header("x-request-id"));
  EXPECT_EQ(seen.get("traceparent"), "00-1-2-03");
  EXPECT_EQ(seen.get("authorization"), std::nullopt);
  EXPECT_TRUE(seen.get("x-tessera-deadline-ms"));
}

TEST_F(GatewayTest, OpenAiRoutesAndTheirAliases) {
  for (const char* path : {"/serving-endpoints/chat/completions", "/v1/chat/completions",
                           "/ai-gateway/mlflow/v1/chat/completions", "/v1/chat/completions/"}) {
    const Reply reply = post(path, say("hello", R"("model":"chat")"));
    ASSERT_EQ(reply.status, 200) << path << reply.body;
    EXPECT_FALSE(reply.tree().contains("served_model_name"));
    EXPECT_EQ(reply.header("served-model-name"), "a");
  }
  // The endpoint in the path: `model` does not matter.
  EXPECT_EQ(post("/serving-endpoints/open/chat/completions", say("hello")).status, 200);
  EXPECT_EQ(post("/serving-endpoints/embed/embeddings", R"({"input":"x"})").status, 200);
  EXPECT_EQ(post("/serving-endpoints/complete/completions", R"({"prompt":"x"})").status, 200);
  // Route-optimised form.
  EXPECT_EQ(post("/12345/serving-endpoints/chat/invocations", say("hello")).status, 200);
}

TEST_F(GatewayTest, CompletionsAndEmbeddings) {
  const Reply text =
      post("/serving-endpoints/complete/invocations", R"({"prompt":["a","b"],"suffix":"!"})");
  ASSERT_EQ(text.status, 200) << text.body;
  EXPECT_EQ(text.tree().at("choices").at(0).at("text").as_string(), "done");
  EXPECT_EQ(parse_json_object(a_->last_body()).at("suffix").as_string(), "!");
  EXPECT_EQ(record(0).finish_reason, "length");

  const Reply refused =
      post("/v1/completions", R"({"model":"complete","prompt":"a","suffix":"!"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.tree().at("error").at("param").as_string(), "suffix");

  const Reply vectors =
      post("/v1/embeddings", R"({"model":"embed","input":["a","b"],"encoding_format":"base64"})");
  ASSERT_EQ(vectors.status, 200) << vectors.body;
  EXPECT_EQ(vectors.tree().at("data").at(1).at("embedding").as_string(), "AAAAPwAAgL4AAIA/");
  EXPECT_EQ(record(2).api_type, "llm/v1/embeddings");
  EXPECT_EQ(record(2).input_tokens, 2);
}

TEST_F(GatewayTest, ModelMayNameAnEntity) {
  EXPECT_EQ(
      post("/v1/chat/completions", say("hi", R"("model":"both/b")")).header("served-model-name"),
      "b");
  EXPECT_EQ(post("/serving-endpoints/both/served-models/b/invocations", say("hi"))
                .header("served-model-name"),
            "b");
  EXPECT_EQ(post("/serving-endpoints/both/invocations", say("hi")).header("served-model-name"),
            "a");
  const Reply missing = post("/serving-endpoints/both/served-models/zzz/invocations", say("hi"));
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.tree().at("error_code").as_string(), "RESOURCE_DOES_NOT_EXIST");
}

TEST_F(GatewayTest, MethodsAndPaths) {
  const Reply method = get("/v1/chat/completions");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.header("allow"), "POST");
  EXPECT_EQ(method.tree().at("error").at("code").as_string(), "method_not_allowed");
  EXPECT_EQ(post("/v1/nothing", "{}").tree().at("error").at("code").as_string(), "unknown_url");
}

// --- Who, and which endpoint ---

TEST_F(GatewayTest, Authentication) {
  const auto status = [&](const std::string& value) {
    return post("/serving-endpoints/chat/invocations", say("hi"), header("authorization", value));
  };
  EXPECT_EQ(status("Bearer dapi-admin").status, 200);
  EXPECT_EQ(status("bearer  dapi-admin").status, 200);
  EXPECT_EQ(status("Basic " + base64_encode("token:dapi-admin")).status, 200);
  for (const std::string& value :
       {std::string("x"), std::string("Bearer "), std::string("Digest abc"),
        "Basic " + base64_encode("admin:dapi-admin"), std::string("Basic !!!")}) {
    const Reply reply = status(value);
    EXPECT_EQ(reply.status, 401) << value;
    EXPECT_EQ(reply.tree().at("error_code").as_string(), "UNAUTHENTICATED");
    EXPECT_FALSE(reply.tree().contains("error"));
    EXPECT_EQ(reply.header("www-authenticate"), "Bearer");
  }
  for (const char* token : {"dapi-wrong", "dapi-old"}) {
    EXPECT_EQ(status(std::string("Bearer ") + token).status, 401) << token;
  }
  const Reply open =
      post("/v1/chat/completions", say("hi"), header("authorization", "Bearer dapi-wrong"));
  EXPECT_EQ(open.status, 401);
  EXPECT_EQ(open.tree().at("error").at("code").as_string(), "invalid_token");
  EXPECT_EQ(record_count(3), 3u) << "a 401 leaves no row";
}

TEST_F(GatewayTest, PermissionAndAbsence) {
  const http::Headers guest = header("authorization", "Bearer dapi-guest");
  const Reply denied = post("/serving-endpoints/chat/invocations", say("hi"), guest);
  EXPECT_EQ(denied.status, 403);
  EXPECT_EQ(denied.tree().at("error_code").as_string(), "PERMISSION_DENIED");
  EXPECT_EQ(record().status_code, 403);

  const Reply native = post("/serving-endpoints/nope/invocations", say("hi"), guest);
  EXPECT_EQ(native.status, 404);
  EXPECT_EQ(native.tree().at("message").as_string(), "Endpoint with name 'nope' does not exist.");
  EXPECT_FALSE(native.tree().contains("error"));
  const Reply openai = post("/v1/chat/completions", say("hi", R"("model":"nope")"));
  EXPECT_EQ(openai.status, 404);
  EXPECT_EQ(openai.tree().at("error").at("code").as_string(), "model_not_found");
  EXPECT_EQ(openai.tree().at("error").at("param").as_string(), "model");
  EXPECT_EQ(openai.tree().at("error_code").as_string(), "RESOURCE_DOES_NOT_EXIST");
  const Reply nameless = post("/v1/chat/completions", say("hi"));
  EXPECT_EQ(nameless.status, 400);
  EXPECT_EQ(nameless.tree().at("error").at("param").as_string(), "model");
}

TEST_F(GatewayTest, CanQueryIsEnough) {
  std::vector<catalog::Endpoint> endpoints = default_endpoints();
  endpoints[0].acl = {{.grantee = catalog::AclEntry::Grantee::kGroup,
                       .name = "users",
                       .level = catalog::PermissionLevel::kCanQuery}};
  publish(std::move(endpoints));
  const http::Headers guest = header("authorization", "Bearer dapi-guest");
  EXPECT_EQ(post("/serving-endpoints/chat/invocations", say("hi"), guest).status, 200);
  const json::object list = get("/v1/models", guest).tree();
  ASSERT_EQ(list.at("data").as_array().size(), 1u);
  EXPECT_EQ(to_json(list.at("data").at(0)),
            R"({"id":"chat","object":"model","created":1700000000,)"
            R"("owned_by":"admin@example.com","task":"llm/v1/chat",)"
            R"("endpoint_type":)" +
                to_json(list.at("data").at(0).at("endpoint_type")) +
                R"(,"max_model_len":8192,"ready":"READY","shutdown_date":null})");
  EXPECT_EQ(get("/serving-endpoints/models/chat", guest).status, 200);
  EXPECT_EQ(get("/serving-endpoints/models/open", guest).status, 403);
  EXPECT_EQ(get("/serving-endpoints/models/zzz", guest).status, 404);
  EXPECT_EQ(get("/serving-endpoints/models").tree().at("data").as_array().size(), 5u);
}

TEST_F(GatewayTest, Lifecycle) {
  using catalog::ConfigUpdate;
  catalog::Endpoint stopped = endpoint("stopped", {entity("a", {a_->socket()})});
  stopped.suspended = true;
  catalog::Endpoint rolling = endpoint("rolling", {entity("a", {})});
  rolling.pending = std::exchange(rolling.active, std::nullopt);
  rolling.config_update = ConfigUpdate::kInProgress;
  catalog::Endpoint failed = endpoint("failed", {entity("a", {})});
  failed.pending = std::exchange(failed.active, std::nullopt);
  failed.pending->entities[0].deployment_state_message = "Weights are absent; add them";
  failed.config_update = ConfigUpdate::kUpdateFailed;
  catalog::Endpoint preconfigured = endpoint("databricks-x", {entity("a", {})});
  preconfigured.active->entities[0].deployment = catalog::Deployment::kFailed;
  preconfigured.active->entities[0].deployment_state_message = "Weights are absent.";
  catalog::Endpoint dead = endpoint("dead", {entity("a", {})});
  dead.active->entities[0].deployment = catalog::Deployment::kRecovering;
  publish({stopped, rolling, failed, preconfigured, dead});

  const auto query = [&](const std::string& name) {
    return post("/serving-endpoints/" + name + "/chat/completions", say("hi"));
  };
  const auto code = [](const Reply& reply) {
    return std::string(reply.tree().at("error").at("code").as_string());
  };
  EXPECT_EQ(query("stopped").status, 400);
  EXPECT_EQ(code(query("stopped")), "endpoint_stopped");
  const Reply wait = query("rolling");
  EXPECT_EQ(wait.status, 503);
  EXPECT_EQ(wait.header("retry-after"), "30");
  EXPECT_EQ(wait.header("retry-after-ms"), "30000");
  EXPECT_EQ(query("failed").status, 400);
  EXPECT_EQ(code(query("failed")), "endpoint_not_ready");
  EXPECT_NE(query("failed").body.find("Weights are absent; add them."), std::string::npos);
  EXPECT_EQ(query("databricks-x").status, 400);
  const Reply recovering = query("dead");
  EXPECT_EQ(recovering.status, 503);
  EXPECT_EQ(code(recovering), "endpoint_not_ready");
  EXPECT_FALSE(recovering.header("retry-after").empty());
}

TEST_F(GatewayTest, RetiredNames) {
  using catalog::LifecycleState;
  std::vector<catalog::Endpoint> endpoints = default_endpoints();
  catalog::Endpoint old = endpoint("deprecated", {entity("a", {a_->socket()})});
  old.lifecycle = {LifecycleState::kDeprecated, "2030-01-01", "chat"};
  endpoints.push_back(old);
  publish(std::move(endpoints), {{"llama-2", {LifecycleState::kRedirect, "", "chat"}},
                                 {"mpt", {LifecycleState::kRedirect, "", "absent"}},
                                 {"chat-0", {LifecycleState::kRedirect, "", "embed"}},
                                 {"gone", {LifecycleState::kRetired, "", "chat"}}});
  const Reply redirected = post("/v1/chat/completions", say("hi", R"("model":"llama-2")"));
  EXPECT_EQ(redirected.status, 200);
  EXPECT_EQ(redirected.header("x-tessera-redirected-from"), "llama-2");
  EXPECT_EQ(redirected.tree().at("model").as_string(), "model-a");
  for (const char* name : {"mpt", "gone", "chat-0"}) {
    const Reply reply = post(std::string("/serving-endpoints/") + name + "/invocations", say("hi"));
    EXPECT_EQ(reply.status, 404) << name;
    EXPECT_EQ(reply.tree().at("error_code").as_string(), "RESOURCE_DOES_NOT_EXIST");
  }
  EXPECT_NE(post("/serving-endpoints/mpt/invocations", say("hi")).body.find("absent"),
            std::string::npos)
      << "names the replacement";
  const Reply deprecated = post("/serving-endpoints/deprecated/invocations", say("hi"));
  EXPECT_EQ(deprecated.status, 200);
  EXPECT_EQ(deprecated.header("deprecation"), "true");
  EXPECT_EQ(deprecated.header("sunset"), "Tue, 01 Jan 2030 00:00:00 GMT");
  EXPECT_EQ(deprecated.header("x-tessera-replacement"), "chat");
}

// --- Bodies ---

TEST_F(GatewayTest, WrongTask) {
  const auto code = [](const Reply& reply) {
    EXPECT_EQ(reply.status, 400);
    return std::string(reply.tree().at("error").at("code").as_string());
  };
  EXPECT_EQ(code(post("/v1/embeddings", R"({"model":"chat","input":"x"})")),
            "invalid_endpoint_task");
  EXPECT_EQ(code(post("/v1/chat/completions", say("hi", R"("model":"embed")"))),
            "invalid_endpoint_task");
  const Reply native = post("/serving-endpoints/embed/invocations", say("hi"));
  EXPECT_EQ(native.status, 400);
  EXPECT_NE(native.body.find("llm/v1/embeddings"), std::string::npos);
  // Nothing that tells a task: the endpoint's own parser speaks.
  EXPECT_EQ(post("/serving-endpoints/chat/invocations", R"({"inputs":[1]})")
                .tree()
                .at("message")
                .as_string(),
            "Bad request: json: unknown field \"inputs\"");
}

TEST_F(GatewayTest, BodyLimitsOfTheProfile) {
  const auto body = [&](std::size_t size) {
    std::string text = say("");
    text.insert(text.find("\"\"") + 1, std::string(size - text.size(), 'x'));
    return text;
  };
  constexpr std::size_t kLimit = 4u << 20;
  EXPECT_EQ(post("/serving-endpoints/chat/invocations", body(kLimit)).status, 200);
  const Reply large = post("/serving-endpoints/chat/invocations", body(kLimit + 1));
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(large.tree().at("error_code").as_string(), "REQUEST_TOO_LARGE");
  EXPECT_EQ(post("/serving-endpoints/open/invocations", body(kLimit + 1)).status, 200);
}

TEST_F(GatewayTest, ContentTypes) {
  EXPECT_EQ(
      post("/serving-endpoints/chat/invocations", say("hi"), header("content-type", "text/plain"))
          .status,
      200);
  for (const char* type :
       {"multipart/form-data; boundary=x", "application/x-www-form-urlencoded"}) {
    EXPECT_EQ(
        post("/serving-endpoints/chat/invocations", say("hi"), header("content-type", type)).status,
        415);
  }
}

TEST_F(GatewayTest, OpenProfileListsWhatItIgnores) {
  const Reply reply =
      post("/serving-endpoints/open/invocations", say("hi", R"("foo":1,"b\r\nx":2)"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("x-tessera-ignored-fields"), "foo,b??x");
  EXPECT_EQ(post("/serving-endpoints/chat/invocations", say("hi", R"("foo":1)")).status, 400);
}

TEST_F(GatewayTest, NotYet) {
  const Reply reply =
      post("/v1/chat/completions", say("hi", R"("model":"chat","tools":[{"type":"function"}])"));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.tree().at("error").at("code").as_string(), "unsupported_parameter");
  EXPECT_EQ(reply.tree().at("error").at("param").as_string(), "tools");
}

// --- Streams ---

TEST_F(GatewayTest, StreamOnOpenAiRoutesWithoutUsage) {
  const Reply reply = post("/v1/chat/completions", say("hello", R"("model":"chat","stream":true)"));
  ASSERT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("content-type"), "text/event-stream");
  EXPECT_EQ(reply.header("cache-control"), "no-cache");
  EXPECT_EQ(reply.header("x-accel-buffering"), "no");
  EXPECT_EQ(reply.header("served-model-name"), "a");
  const std::vector<std::string> got = events(reply.body);
  ASSERT_EQ(got.size(), 6u) << reply.body;
  EXPECT_EQ(got[0],
            R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"model-a",)"
            R"("system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant",)"
            R"("content":""},"finish_reason":null,"logprobs":null}]})");
  EXPECT_EQ(got[5], "[DONE]");
  EXPECT_EQ(reply.body.find("usage"), std::string::npos);
  const catalog::UsageRecord row = record();
  EXPECT_EQ(row.status_code, 200);
  EXPECT_TRUE(row.streaming);
  EXPECT_EQ(row.output_tokens, 4);
  EXPECT_EQ(row.output_characters, 5);
  EXPECT_EQ(row.finish_reason, "stop");
}

TEST_F(GatewayTest, UsageInStreams) {
  const auto usages = [&](const std::string& path, const std::string& members) {
    std::string out;
    for (const std::string& event : events(post(path, say("hello", members)).body)) {
      if (event == "[DONE]") continue;
      const json::object chunk = parse_json_object(event);
      const json::value* usage = chunk.if_contains("usage");
      if (chunk.at("choices").as_array().empty()) out += "only:";
      out += usage == nullptr   ? "-"
             : usage->is_null() ? "null"
                                : std::to_string(usage->at("completion_tokens").as_int64());
      out += ' ';
    }
    return out;
  };
  const std::string native = "/serving-endpoints/chat/invocations", open = "/v1/chat/completions";
  const std::string last = R"("stream_options":{"include_usage":true})";
  const std::string running =
      R"("stream_options":{"include_usage":true,"continuous_usage_stats":true})";
  const std::string stream = R"("model":"chat","stream":true)";
  EXPECT_EQ(usages(open, stream), "- - - - - ");
  EXPECT_EQ(usages(open, stream + "," + last), "null null null null null only:4 ");
  EXPECT_EQ(usages(open, stream + "," + running), "0 1 2 3 4 only:4 ");
  EXPECT_EQ(usages(native, stream), "0 1 2 3 4 ");
  EXPECT_EQ(usages(native, stream + "," + last), "null null null null null only:4 ");
  EXPECT_EQ(usages(native, stream + "," + running), "0 1 2 3 4 only:4 ");
}

TEST_F(GatewayTest, StreamAndPlainAnswerAreTheSame) {
  api::ChatFold fold;
  for (const std::string& event :
       events(post("/v1/chat/completions",
                   say("single bytes",
                       R"("model":"chat","stream":true,"stream_options":{"include_usage":true})"))
                  .body)) {
    if (event != "[DONE]") fold.add(api::parse_chat_chunk(event));
  }
  EXPECT_EQ(to_json(fold.finish()),
            post("/v1/chat/completions", say("x", R"("model":"chat")")).body);
  // However the worker's bytes are cut, the events are the same.
  const std::string stream = R"("model":"chat","stream":true)";
  EXPECT_EQ(events(post("/v1/chat/completions", say("one piece", stream)).body),
            events(post("/v1/chat/completions", say("single bytes", stream)).body));
}

TEST_F(GatewayTest, CompletionStream) {
  const Reply reply = post("/v1/completions", R"({"model":"complete","prompt":"x","stream":true})");
  const std::vector<std::string> got = events(reply.body);
  ASSERT_EQ(got.size(), 2u) << reply.body;
  EXPECT_EQ(got[0],
            R"({"id":"cmpl-1","object":"text_completion","created":5,"model":"model-c",)"
            R"("choices":[{"index":0,"text":"done","finish_reason":"length","logprobs":null}]})");
  EXPECT_EQ(got[1], "[DONE]");
}

TEST_F(GatewayTest, CutStreamsEndInAnErrorEvent) {
  for (const char* command : {"unfinished", "fail"}) {
    const Reply reply =
        post("/serving-endpoints/chat/invocations", say(command, R"("stream":true)"));
    ASSERT_EQ(reply.status, 200);
    const std::vector<std::string> got = events(reply.body);
    ASSERT_EQ(got.size(), 3u) << reply.body;
    const json::object last = parse_json_object(got.back());
    EXPECT_EQ(last.at("error").at("code").as_string(), "engine_failure");
    EXPECT_EQ(last.at("error_code").as_string(), "INTERNAL_ERROR");
    EXPECT_EQ(reply.body.find("[DONE]"), std::string::npos);
  }
  EXPECT_EQ(record(0).status_code, 500);
  EXPECT_EQ(record(0).output_tokens, 1);
  EXPECT_EQ(record(1).status_code, 500);
}

TEST_F(GatewayTest, WorkerKilledInTheMiddle) {
  const std::string chunk = http::sse_data(
      R"({"id":"i","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]})");
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
  const std::string head = "HTTP/1.1 200 OK\r\n";
  DyingWorker streaming(asio::make_strand(pool_), folder_ / "dying.sock",
                        head + "transfer-encoding: chunked\r\n\r\n" + size + chunk + "\r\n");
  DyingWorker plain(asio::make_strand(pool_), folder_ / "plain.sock",
                    head + "content-length: 1000\r\n\r\n{\"choices\"");
  DyingWorker silent(asio::make_strand(pool_), folder_ / "silent.sock", "");
  publish({endpoint("streaming", {entity("a", {streaming.socket()})}),
           endpoint("plain", {entity("a", {plain.socket()})}),
           endpoint("silent", {entity("a", {silent.socket()})})});
  const Reply cut = post("/serving-endpoints/streaming/invocations", say("x", R"("stream":true)"));
  EXPECT_EQ(cut.status, 200);
  const std::vector<std::string> got = events(cut.body);
  ASSERT_EQ(got.size(), 2u) << cut.body;
  EXPECT_EQ(parse_json_object(got[1]).at("error").at("code").as_string(), "engine_failure");
  EXPECT_EQ(cut.body.find("[DONE]"), std::string::npos);
  EXPECT_EQ(cut.body.find(folder_.string()), std::string::npos) << "no paths in messages";
  for (const char* name : {"plain", "silent"}) {
    const Reply reply = post(std::string("/serving-endpoints/") + name + "/invocations", say("x"));
    EXPECT_EQ(reply.status, 500) << name << reply.body;
  }
  EXPECT_EQ(record(0).status_code, 500);
  EXPECT_TRUE(record(0).estimated) << "no usage was told";
  EXPECT_EQ(record(2).status_code, 500);
}

TEST_F(GatewayTest, KeepAlives) {
  options_.keep_alive_interval = 30ms;
  options_.stream_head_delay = 50ms;
  const Reply open =
      post("/v1/chat/completions", say("slow 150", R"("model":"chat","stream":true)"));
  EXPECT_NE(open.body.find("\n\n: ping\n\n"), std::string::npos) << open.body;
  const Reply native =
      post("/serving-endpoints/chat/invocations", say("slow 150", R"("stream":true)"));
  EXPECT_EQ(native.body.find(':'), native.body.find("data:") + 4) << "no comments for MLflow";
  EXPECT_NE(native.body.find("\n\n\n"), std::string::npos);
  EXPECT_EQ(events(native.body).size(), 6u);
}

TEST_F(GatewayTest, FailureBeforeTheFirstEventKeepsItsStatus) {
  const Reply reply =
      post("/v1/chat/completions", say("silent", R"("model":"chat","stream":true)"));
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.tree().at("error").at("code").as_string(), "engine_failure");
  const Reply refused =
      post("/v1/chat/completions", say("status 429", R"("model":"chat","stream":true)"));
  EXPECT_EQ(refused.status, 429);
}

TEST_F(GatewayTest, ClientLeaves) {
  start();
  asio::co_spawn(
      asio::make_strand(pool_),
      [](GatewayTest& test, http::Client& client, http::ClientRequest request)
          -> asio::awaitable<void> {
        (void)test;
        http::ClientResponse response = co_await client.send(std::move(request));
        co_await response.body->next();
        co_await response.body->next();
        response.body.reset();  // closes the connection
      }(*this, *client_,
          request("/serving-endpoints/chat/invocations", say("slow 100", R"("stream":true)"))),
      asio::use_future)
      .get();
  const catalog::UsageRecord row = record();
  EXPECT_EQ(row.status_code, 499);
  EXPECT_GE(row.output_tokens, 1);
  EXPECT_LT(row.output_tokens, 4);
  for (int i = 0; i < 100 && a_->dropped() == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(a_->dropped(), 1) << "the worker's stream was not dropped within a second";
}

TEST_F(GatewayTest, ClientLeavesWhileAPlainAnswerIsMade) {
  http::ClientRequest impatient = request("/serving-endpoints/chat/invocations", say("slow 2000"));
  impatient.timeouts.first_byte = 100ms;
  EXPECT_EQ(send(impatient).status, 0);
  EXPECT_EQ(record().status_code, 499);
}

// --- Upstream failures ---

TEST_F(GatewayTest, ErrorsOfTheWorkerArriveAsTheyAre) {
  const Reply context = post("/v1/chat/completions", say("status 400", R"("model":"chat")"));
  EXPECT_EQ(context.status, 400);
  const json::object tree = context.tree();
  EXPECT_EQ(tree.at("error").at("code").as_string(), "context_length_exceeded");
  EXPECT_EQ(tree.at("error").at("param").as_string(), "messages");
  EXPECT_EQ(tree.at("error").at("n_ctx").as_int64(), 10);
  EXPECT_EQ(context.header("served-model-name"), "a");
  const Reply full = post("/serving-endpoints/chat/invocations", say("status 429"));
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(full.tree().at("error_code").as_string(), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(full.header("retry-after"), "7");
  EXPECT_EQ(record(1).status_code, 429);
  EXPECT_EQ(record(1).output_tokens, 0);
}

TEST_F(GatewayTest, WorkerThatIsNotThere) {
  publish({endpoint("chat", {entity("a", {(folder_ / "none.sock").string()})}),
           endpoint("two", {entity("a", {(folder_ / "none.sock").string(), a_->socket()})})});
  const Reply reply = post("/v1/chat/completions", say("hi", R"("model":"chat")"));
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.tree().at("error").at("code").as_string(), "endpoint_not_ready");
  EXPECT_FALSE(reply.header("retry-after").empty());
  EXPECT_EQ(post("/v1/chat/completions", say("hi", R"("model":"two")")).status, 200);
  EXPECT_EQ(post("/v1/chat/completions", say("hi", R"("model":"two")")).status, 200);
  EXPECT_EQ(reply.body.find(folder_.string()), std::string::npos) << "no paths in messages";
  EXPECT_EQ(record().status_code, reply.status);
}

TEST_F(GatewayTest, FallbackIsAnEndpointsChoice) {
  std::vector<catalog::Endpoint> endpoints = default_endpoints();
  endpoints.back().fallback_enabled = true;
  publish(endpoints);
  const Reply helped = post("/serving-endpoints/both/invocations", say("A only: status 503"));
  EXPECT_EQ(helped.status, 200);
  EXPECT_EQ(helped.header("served-model-name"), "b");
  EXPECT_EQ(helped.tree().at("model").as_string(), "model-b");
  EXPECT_EQ(record(0).served_entity_name, "b");
  // Not where one entity was asked for.
  EXPECT_EQ(
      post("/serving-endpoints/both/served-models/a/invocations", say("A only: status 503")).status,
      503);
  publish(default_endpoints());
  EXPECT_EQ(post("/serving-endpoints/both/invocations", say("A only: status 503")).status, 503);
}

TEST_F(GatewayTest, AnswersThatAreTooLarge) {
  options_.max_response_bytes = 100;
  const Reply reply = post("/v1/chat/completions", say("hi", R"("model":"chat")"));
  EXPECT_EQ(reply.status, 500);
  EXPECT_NE(reply.body.find("larger than 100 bytes"), std::string::npos);
}

TEST_F(GatewayTest, AnswersThatAreNone) {
  const Reply reply = post("/v1/chat/completions", say("garbage", R"("model":"chat")"));
  EXPECT_EQ(reply.status, 502);
}

TEST_F(GatewayTest, Deadline) {
  options_.time_limit = 200ms;
  const Reply reply = post("/v1/chat/completions", say("slow 3000", R"("model":"chat")"));
  EXPECT_EQ(reply.status, 504);
  EXPECT_EQ(reply.tree().at("error").at("code").as_string(), "deadline_exceeded");
}

TEST_F(GatewayTest, DeadlineOfAStream) {
  options_.stream_time_limit = 150ms;
  const Reply reply =
      post("/v1/chat/completions", say("slow 100", R"("model":"chat","stream":true)"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(parse_json_object(events(reply.body).back()).at("error").at("code").as_string(),
            "deadline_exceeded");
  EXPECT_EQ(record().status_code, 504);
}

// --- Drain, metrics, many at once ---

TEST_F(GatewayTest, Drain) {
  start();
  gateway_->drain();
  const Reply reply = post("/v1/chat/completions", say("hi", R"("model":"chat")"));
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.tree().at("error").at("code").as_string(), "shutting_down");
  EXPECT_EQ(reply.header("retry-after"), "5");
}

TEST_F(GatewayTest, MetricsPerEndpoint) {
  post("/serving-endpoints/chat/invocations", say("hi", R"("stream":true)"));
  post("/serving-endpoints/chat/invocations", say("status 400"));
  post("/serving-endpoints/chat/invocations", say("status 500"));
  post("/serving-endpoints/not-there/invocations", say("hi"));
  record(3);
  const std::string text = metrics_.text();
  for (const char* line : {"request_count_total{endpoint_name=\"chat\"} 3",
                           "request_4xx_count_total{endpoint_name=\"chat\"} 1",
                           "request_5xx_count_total{endpoint_name=\"chat\"} 1",
                           "output_tokens_total{endpoint_name=\"chat\"} 4",
                           "request_latency_ms_count{endpoint_name=\"chat\"} 3",
                           "time_to_first_token_ms_count{endpoint_name=\"chat\"} 1"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
  EXPECT_EQ(text.find("not-there"), std::string::npos);
}

TEST_F(GatewayTest, ManyAtOnceWhileTheCatalogChanges) {
  start();
  std::vector<std::future<Reply>> replies;
  for (int i = 0; i < 60; ++i) {
    const std::string path = i % 2 ? "/v1/chat/completions" : "/serving-endpoints/chat/invocations";
    const std::string members = i % 3 ? R"("model":"chat","stream":true)" : R"("model":"chat")";
    replies.push_back(asio::co_spawn(asio::make_strand(pool_),
                                     exchange(request(path, say("slow 2", members))),
                                     asio::use_future));
    if (i % 10 == 0) publish(default_endpoints());
  }
  for (auto& reply : replies) EXPECT_EQ(reply.get().status, 200);
  record(59);
}

}  // namespace
}  // namespace tessera::gateway
