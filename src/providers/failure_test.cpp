// The table of external-providers 1.11, and what must never be told.
#include "providers/failure.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace tessera::providers {
namespace {

struct StatusCase {
  int status;
  ErrorKind kind;
};

TEST(Failure, Statuses) {
  const StatusCase cases[] = {
      {400, ErrorKind::kProviderRejected},       {401, ErrorKind::kProviderAuthentication},
      {402, ErrorKind::kProviderQuotaExhausted}, {403, ErrorKind::kProviderAuthentication},
      {404, ErrorKind::kProviderModelNotFound},  {408, ErrorKind::kProviderTimeout},
      {409, ErrorKind::kProviderRejected},       {410, ErrorKind::kProviderModelNotFound},
      {413, ErrorKind::kPayloadTooLarge},        {422, ErrorKind::kProviderRejected},
      {424, ErrorKind::kProviderError},          {429, ErrorKind::kProviderRateLimited},
      {500, ErrorKind::kProviderError},          {502, ErrorKind::kProviderError},
      {503, ErrorKind::kProviderOverloaded},     {504, ErrorKind::kProviderTimeout},
      {529, ErrorKind::kProviderOverloaded},     {302, ErrorKind::kProviderError},
  };
  for (const StatusCase& c : cases) {
    const Error error = to_error({.provider = "anthropic", .message = "m"}, {.status = c.status});
    EXPECT_EQ(error.kind, c.kind) << c.status;
    ASSERT_NE(error.provider, nullptr);
    EXPECT_EQ(error.provider->status, c.status);
    EXPECT_EQ(error.provider->provider, "anthropic");
  }
}

TEST(Failure, CodesSayMoreThanStatuses) {
  const auto kind = [](const char* code, int status) {
    return to_error({.provider = "openai", .code = code, .message = "m"}, {.status = status}).kind;
  };
  EXPECT_EQ(kind("insufficient_quota", 429), ErrorKind::kProviderQuotaExhausted);
  EXPECT_EQ(kind("context_length_exceeded", 400), ErrorKind::kContextLengthExceeded);
  EXPECT_EQ(kind("content_filter", 400), ErrorKind::kProviderContentFilter);
  EXPECT_EQ(kind("rate_limit_exceeded", 429), ErrorKind::kProviderRateLimited);
  const Error rejected =
      to_error({.provider = "openai", .code = "invalid_base64", .message = "m", .param = "p"},
               {.status = 400});
  EXPECT_EQ(rejected.code, "invalid_base64");
  EXPECT_EQ(rejected.param, "p");
  // A meaning of the dialect's goes before the status, which is still told.
  const Error meant = to_error({.provider = "p", .message = "m", .meaning = 503}, {.status = 429});
  EXPECT_EQ(meant.kind, ErrorKind::kProviderOverloaded);
  EXPECT_EQ(meant.provider->status, 429);
}

TEST(Failure, ContextLengthByWords) {
  const auto kind = [](const char* provider, const char* message, int status = 400) {
    return to_error({.provider = provider, .message = message}, {.status = status}).kind;
  };
  constexpr ErrorKind kContext = ErrorKind::kContextLengthExceeded;
  EXPECT_EQ(kind("anthropic", "Prompt is too long: 210000 tokens"), kContext);
  EXPECT_EQ(kind("cohere", "too many tokens: size limit exceeded by 10"), kContext);
  EXPECT_NE(kind("cohere", "there are too many tokens"), kContext);
  EXPECT_EQ(kind("amazon-bedrock", "Input is too long for requested model."), kContext);
  EXPECT_EQ(kind("google-cloud-vertex-ai",
                 "The input token count (1) exceeds the maximum number of tokens allowed (0)."),
            kContext);
  EXPECT_EQ(kind("custom", "This model's maximum context length is 4096 tokens."), kContext);
  EXPECT_NE(kind("openai", "the name is too long"), kContext);
  // Words count for what is about the request only.
  EXPECT_EQ(kind("anthropic", "prompt is too long", 500), ErrorKind::kProviderError);
}

TEST(Failure, WhenToComeBack) {
  const auto after = [](HeaderList headers) {
    return to_error({.provider = "p", .message = "m"},
                    {.status = 429, .headers = std::move(headers)});
  };
  EXPECT_EQ(after({}).retry_after_ms, std::nullopt);
  EXPECT_EQ(after({{"retry-after", "7"}}).retry_after_ms, 7000);
  EXPECT_EQ(after({{"retry-after", "7"}}).retry_after_s, 7);
  const Error finer = after({{"retry-after", "2"}, {"retry-after-ms", "1250.5"}});
  EXPECT_EQ(finer.retry_after_ms, 1250);
  EXPECT_EQ(finer.retry_after_s, 2);  // never sooner
  EXPECT_EQ(after({{"retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"},
                   {"date", "Wed, 21 Oct 2026 07:28:00 GMT"}})
                .retry_after_ms,
            30000);
  EXPECT_EQ(after({{"retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"}}).retry_after_ms, std::nullopt);
  for (const char* nonsense : {"", "soon", "-3", "nan", "7 seconds"}) {
    EXPECT_EQ(after({{"retry-after", nonsense}}).retry_after_ms, std::nullopt) << nonsense;
  }
  EXPECT_EQ(after({{"retry-after", "1e300"}}).retry_after_ms, 86'400'000);
  EXPECT_EQ(after({{"x-should-retry", "false"}}).provider->should_retry, false);
  EXPECT_EQ(after({{"x-should-retry", "true"}}).provider->should_retry, true);
  EXPECT_EQ(after({}).provider->should_retry, std::nullopt);
}

TEST(Failure, RequestIds) {
  const auto id = [](HeaderList headers, std::string body = {}) {
    return to_error({.provider = "p"},
                    {.status = 500, .headers = std::move(headers), .body = std::move(body)})
        .provider->request_id;
  };
  EXPECT_EQ(id({{"request-id", "req_1"}}), "req_1");
  EXPECT_EQ(id({{"x-amzn-requestid", "r-2"}}), "r-2");
  EXPECT_EQ(id({}, R"({"type":"error","request_id":"req_3"})"), "req_3");
  EXPECT_EQ(id({}), "");
}

TEST(Failure, BodiesThatSayNothing) {
  const Error html = to_error({.provider = "anthropic"},
                              {.status = 502, .body = "<html>" + std::string(5000, 'x')});
  EXPECT_EQ(html.message,
            "The provider 'anthropic' answered with status 502: <html>" + std::string(194, 'x'));
  EXPECT_EQ(html.provider->body.size(), 2048u);
  EXPECT_EQ(to_error({.provider = "p", .code = "c"}, {.status = 500}).message,
            "The provider 'p' answered with status 500 (c).");
  EXPECT_EQ(to_error({.provider = "p"}, {.status = 0}).message,
            "The provider 'p' reported an error.");
}

TEST(Failure, MessagesAreCutBetweenCharacters) {
  for (std::size_t pad = 0; pad < 4; ++pad) {
    std::string message(pad, 'a');
    while (message.size() < 5000) message += "漢😀é";
    const Error error = to_error({.provider = "p", .message = message}, {.status = 400});
    EXPECT_LE(error.message.size(), 2048u);
    EXPECT_GT(error.message.size(), 2044u);
    EXPECT_TRUE(utf8_valid(error.message));
    EXPECT_EQ(error.message, message.substr(0, error.message.size()));
  }
  EXPECT_EQ(cut("ab\xFF", 10), "ab\uFFFD");
  EXPECT_EQ(cut("", 0), "");
}

TEST(Failure, BodiesOfEveryShape) {
  const auto expect = [](std::string_view body, std::string_view code, std::string_view message) {
    const FailureBody read = read_failure_body(body);
    EXPECT_EQ(read.code, code) << body;
    EXPECT_EQ(read.message, message) << body;
  };
  expect(R"({"error":{"message":"m","type":"t","code":"c","param":"p"}})", "c", "m");
  expect(R"({"error":{"message":"m","type":"t","code":null}})", "t", "m");
  expect(R"({"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}})",
         "RESOURCE_EXHAUSTED", "m");
  expect(R"([{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}])",
         "INVALID_ARGUMENT", "m");
  expect(R"({"type":"error","error":{"type":"overloaded_error","message":"m"}})",
         "overloaded_error", "m");
  expect(R"({"message":"m"})", "", "m");
  expect(R"({"Message":"m","__type":"com.amazon.coral#AccessDeniedException"})",
         "AccessDeniedException", "m");
  expect(R"({"error":"m"})", "", "m");
  expect(R"({"error_code":"BAD_REQUEST","message":"m"})", "BAD_REQUEST", "m");
  expect(R"({"detail":"m"})", "", "m");
  expect(R"({"detail":[{"loc":["body","prompt",0],"msg":"m","type":"x"},{"msg":"n"}]})", "",
         "body.prompt.0: m; n");
  for (const char* body : {"", "<html>", "[]", "3", "{}", "[3]", "\"x\"", "{\"error\":3}",
                           "{\"error\":{\"message\":{}}}", "{\"detail\":[3,{}]}"}) {
    EXPECT_NO_THROW(read_failure_body(body)) << body;
  }
}

TEST(Failure, KeysAreNeverTold) {
  const char* keys[] = {
      "sk-ant-api03-AbCdEf",
      "sk-proj-abc***************xyz",
      "AKIAIOSFODNN7EXAMPLE",
      "dapi0123456789abcdef",
      "AIzaSyA-1234567890abcdefg",
      "ya29.a0AfH6SM",
      "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ4In0.c2ln",
      "0123456789abcdef0123456789abcdef",  // Azure's
  };
  for (const std::string key : keys) {
    const std::string text = "Incorrect API key provided: " + key + ". See the page.";
    EXPECT_EQ(redact(text), "Incorrect API key provided: [redacted]. See the page.") << key;
    EXPECT_EQ(redact("{\"k\":\"" + key + "\"}"), "{\"k\":\"[redacted]\"}") << key;
    const Error error = to_error({.provider = "p", .message = text}, {.status = 401, .body = text});
    EXPECT_EQ(error.message.find(key), std::string::npos);
    EXPECT_EQ(error.provider->body.find(key), std::string::npos);
  }
  EXPECT_EQ(redact("Authorization: Bearer abcdefgh12"), "Authorization: Bearer [redacted]");
}

TEST(Failure, WordsThatAreNoKeysStay) {
  for (const char* text :
       {"anthropic.claude-3-5-sonnet-20241022-v2:0 is not there",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456",
        "req_011CSHoEeqs5C35K2UDi, 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "https://docs.example.com/v1/errors#rate_limits?x=1", "sk- is a prefix",
        "bearer of bad news", "漢字 😀"}) {
    EXPECT_EQ(redact(text), text);
  }
}

TEST(Failure, AnswersThatCannotBeRead) {
  const Error error = bad_response("cohere", "it is a song");
  EXPECT_EQ(error.kind, ErrorKind::kProviderBadResponse);
  EXPECT_EQ(error.provider->provider, "cohere");
  EXPECT_NE(error.message.find("it is a song"), std::string::npos);
}

}  // namespace
}  // namespace tessera::providers
