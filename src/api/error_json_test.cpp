#include "api/error_json.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace tessera::api {
namespace {

TEST(ErrorJson, DatabricksStyleHasNoErrorMember) {
  const Error error(ErrorKind::kEndpointNotFound, "Endpoint with name 'x' does not exist.",
                    "model");
  EXPECT_EQ(error_json(error, ErrorStyle::kDatabricks, "id-1"),
            R"({"error_code":"RESOURCE_DOES_NOT_EXIST",)"
            R"("message":"Endpoint with name 'x' does not exist.",)"
            R"("details":[{"@type":"type.googleapis.com/google.rpc.RequestInfo",)"
            R"("request_id":"id-1","serving_data":""}]})");
}

TEST(ErrorJson, OpenAiRoutesGetBoth) {
  Error error(ErrorKind::kContextLengthExceeded, "too long", "messages");
  error.extra = {{"n_ctx", 10}, {"n_prompt_tokens", 12}};
  EXPECT_EQ(error_json(error, ErrorStyle::kOpenAi),
            R"({"error":{"message":"too long","type":"invalid_request_error","param":"messages",)"
            R"("code":"context_length_exceeded","n_ctx":10,"n_prompt_tokens":12},)"
            R"("error_code":"BAD_REQUEST","message":"too long"})");
}

TEST(ErrorJson, StreamsGetTheErrorMemberEverywhere) {
  EXPECT_EQ(
      stream_error_json(Error(ErrorKind::kEngineFailure, "m")),
      R"({"error":{"message":"m","type":"server_error","param":null,"code":"engine_failure"},)"
      R"("error_code":"INTERNAL_ERROR","message":"m"})");
}

TEST(ErrorJson, RateLimitFiguresStandBesideTheMessageOnNativeRoutes) {
  Error error(ErrorKind::kRateLimited, "REQUEST_LIMIT_EXCEEDED: slow down");
  error.extra = {{"limit", 5}};
  error.retry_after_s = 7;
  const json::object native = parse_json_object(error_json(error, ErrorStyle::kDatabricks));
  EXPECT_EQ(native.at("limit").as_int64(), 5);
  EXPECT_EQ(native.at("details").at(0).at("retry_delay").as_string(), "7s");
  const json::object open = parse_json_object(error_json(error, ErrorStyle::kOpenAi));
  EXPECT_EQ(open.at("error").at("limit").as_int64(), 5);
}

TEST(ErrorJson, ComesBackFromTheWorkerAsItWas) {
  for (int i = 0; i <= static_cast<int>(ErrorKind::kIo); ++i) {
    Error sent(static_cast<ErrorKind>(i), "why", "field");
    sent.extra = {{"n_ctx", 3}};
    const Error got = parse_error(http_status(sent.kind), error_json(sent, ErrorStyle::kOpenAi));
    const ErrorWire &a = wire_form(sent.kind), &b = wire_form(got.kind);
    EXPECT_EQ(a.http_status, b.http_status);
    EXPECT_EQ(a.openai_code, got.code.empty() ? b.openai_code : std::string_view(got.code));
    EXPECT_EQ(got.message, "why");
    EXPECT_EQ(got.param, "field");
    EXPECT_EQ(got.extra, sent.extra);
  }
}

TEST(ErrorJson, BodiesOfStrangers) {
  EXPECT_EQ(parse_error(502, "<html>bad</html>").message,
            "The upstream answered with status 502: <html>bad</html>");
  EXPECT_EQ(parse_error(500, "").message, "The upstream answered with status 500");
  EXPECT_EQ(parse_error(400, R"({"error": "plain"})").message, "plain");
  EXPECT_EQ(parse_error(429, R"({"error": {"message": "m", "code": 429}})").kind,
            ErrorKind::kRateLimited);
  EXPECT_EQ(parse_error(418, R"({"message": "m"})").kind, ErrorKind::kBadValue);
  EXPECT_EQ(parse_error(599, "[1]").kind, ErrorKind::kUpstreamBadGateway);
}

TEST(ErrorJson, EventsOfBrokenStreams) {
  const Error sent(ErrorKind::kEngineFailure, "boom");
  const std::optional<Error> got = parse_stream_error(stream_error_json(sent));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->kind, ErrorKind::kEngineFailure);
  EXPECT_EQ(got->message, "boom");
  EXPECT_FALSE(parse_stream_error(R"({"choices": [{"delta": {"content": "error"}}]})"));
  EXPECT_FALSE(parse_stream_error(R"({"choices": [], "error": null})"));
  EXPECT_FALSE(parse_stream_error("\"error\""));
  EXPECT_EQ(parse_stream_error(R"({"error": {"message": "x", "code": 7}})")->kind,
            ErrorKind::kUpstreamBadGateway);
}

TEST(ErrorJson, RetryHeaders) {
  Error error(ErrorKind::kNotReady, "m");
  error.retry_after_s = 30;
  const auto headers = retry_headers(error);
  ASSERT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers[0], (std::pair<std::string, std::string>("retry-after", "30")));
  EXPECT_EQ(headers[1].second, "30000");
  EXPECT_TRUE(retry_headers(Error(ErrorKind::kBadValue, "m")).empty());
  EXPECT_EQ(retry_headers(Error(ErrorKind::kResourceConflict, "m"))[0].second, "false");
}

}  // namespace
}  // namespace tessera::api
