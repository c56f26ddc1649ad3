#include "api/completion.h"

#include <gtest/gtest.h>

#include "api/parse_rows.h"

namespace tessera::api {
namespace {

using enum ErrorKind;

const auto kDatabricks = ParseOptions::for_profile(Profile::kDatabricks);
const auto kOpen = ParseOptions::for_profile(Profile::kOpen);
const auto kWorker = ParseOptions::for_profile(Profile::kInternal);

void expect(const std::vector<Row>& rows, const ParseOptions& options = kDatabricks) {
  expect_rows(R"("prompt": "x")", rows,
              [&](const Body& body) { parse_completion_request(body, options); });
}

TEST(CompletionRequest, Prompts) {
  const auto parse = [](const Body& body) { parse_completion_request(body, kDatabricks); };
  expect_rows("",
              {
                  {"", kMissingParam, "prompt"},
                  {R"("prompt": null)", kMissingParam, "prompt"},
                  {R"("prompt": "")", {}},
                  {R"("prompt": "a")", {}},
                  {R"("prompt": ["a", "b"])", {}},
                  {R"("prompt": [1, 2])", {}},
                  {R"("prompt": [[1, 2], [3]])", {}},
                  {R"("prompt": [])", kArrayLength, "prompt"},
                  {R"("prompt": [[]])", kArrayLength, "prompt[0]"},
                  {R"("prompt": ["a", 1])", kWrongType, "prompt[1]"},
                  {R"("prompt": [1, "a"])", kWrongType, "prompt[1]"},
                  {R"("prompt": [[1], "a"])", kWrongType, "prompt[1]"},
                  {R"("prompt": [1.5])", kWrongType, "prompt[0]"},
                  {R"("prompt": [-1])", kBadTokenId, "prompt[0]"},
                  {R"("prompt": [{}])", kWrongType, "prompt[0]"},
                  {R"("prompt": 1)", kWrongType, "prompt"},
                  {R"("prompt": [)" + repeated(R"("a")", 128) + "]", {}},
                  {R"("prompt": [)" + repeated(R"("a")", 129) + "]", kArrayLength, "prompt"},
                  {R"("prompt": [)" + repeated("1", 5000) + "]", {}},
              },
              parse);
}

TEST(CompletionRequest, Fields) {
  expect({
      {R"("max_tokens": 0)", kOutOfRange, "max_tokens"},
      {R"("max_tokens": 0, "echo": true)", {}},
      {R"("max_tokens": 0, "prompt_logprobs": 1)", {}},
      {R"("suffix": "")", {}},
      {R"("suffix": "x")", kUnsupportedParameter, "suffix"},
      {R"("suffix": 1)", kWrongType, "suffix"},
      {R"("error_behavior": "truncate")", {}},
      {R"("error_behavior": "error")", {}},
      {R"("error_behavior": "ignore")", kBadValue, "error_behavior"},
      {R"("use_raw_prompt": 1)", kWrongType, "use_raw_prompt"},
      {R"("n": 2, "best_of": 2)", {}},
      {R"("n": 2, "best_of": 1)", kOutOfRange, "best_of"},
      {R"("best_of": 20)", {}},
      {R"("best_of": 21)", kOutOfRange, "best_of"},
      {R"("best_of": 2, "stream": true)", kConflictingFields, "best_of"},
      {R"("best_of": 1, "stream": true)", {}},
      {R"("logprobs": 0)", {}},
      {R"("logprobs": 5)", {}},
      {R"("logprobs": 6)", kOutOfRange, "logprobs"},
      {R"("logprobs": -1)", kOutOfRange, "logprobs"},
      {R"("logprobs": true)", kWrongType, "logprobs"},
      {R"("temperature": 3)", kOutOfRange, "temperature"},
      {R"("prompt_embeds": "x")", kUnsupportedParameter, "prompt_embeds"},
      {R"("messages": [])", kUnknownField, "messages"},
      {R"("response_format": {"type": "json_object"})", kUnsupportedParameter, "response_format"},
      {R"("stream_options": {"include_usage": true})", kConflictingFields, "stream_options"},
  });
  expect({{R"("logprobs": 20)", {}}, {R"("logprobs": 21)", kOutOfRange, "logprobs"}}, kOpen);
  ParseOptions native = kDatabricks;
  native.allow_suffix = true;
  expect({{R"("suffix": "x")", {}},
          {R"("suffix": ")" + std::string(8193, 's') + "\"", kBadValue, "suffix"}},
         native);
}

TEST(CompletionRequest, SurvivesTheWire) {
  const std::string body =
      R"({"model":"m","prompt":[[1,2],[3]],"max_tokens":4,"n":2,"logprobs":3,"best_of":3,)"
      R"("suffix":"s","error_behavior":"truncate","use_raw_prompt":true})";
  const CompletionRequest request = parse_completion_request(Body(body), kWorker);
  EXPECT_EQ(to_json(request), body);
  EXPECT_EQ(request.prompts[1].token_ids, std::vector<std::int32_t>{3});
}

TEST(CompletionResponse, EchoWithLogprobs) {  // data-plane D.5
  CompletionResponse response{.id = "cmpl-1", .created = 1, .model = "m"};
  CompletionLogprobs logprobs;
  logprobs.tokens = {"2", "4"};
  logprobs.token_logprobs = {std::nullopt, -0.05};
  logprobs.top_logprobs.resize(2);
  logprobs.top_logprobs[1] = {{"4", -0.05}};
  logprobs.text_offset = {0, 1};
  response.choices.push_back(
      {.text = "24", .finish_reason = FinishReason::kLength, .logprobs = logprobs});
  const std::string text =
      R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,)"
      R"("text":"24","finish_reason":"length","logprobs":{"tokens":["2","4"],)"
      R"("token_logprobs":[null,-0.05],"top_logprobs":[null,{"4":-0.05}],"text_offset":[0,1]}}]})";
  EXPECT_EQ(to_json(response), text);
  EXPECT_EQ(to_json(parse_completion_response(text)), text);
}

}  // namespace
}  // namespace tessera::api
