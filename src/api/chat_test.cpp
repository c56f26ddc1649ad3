#include "api/chat.h"

#include <gtest/gtest.h>

#include "api/parse_rows.h"

namespace tessera::api {
namespace {

using enum ErrorKind;

const std::string kHello = R"("messages": [{"role": "user", "content": "Hello"}])";
const auto kDatabricks = ParseOptions::for_profile(Profile::kDatabricks);
const auto kOpen = ParseOptions::for_profile(Profile::kOpen);
const auto kWorker = ParseOptions::for_profile(Profile::kInternal);

ChatRequest parse(const std::string& body, const ParseOptions& options = kDatabricks) {
  return parse_chat_request(Body(body), options);
}

ChatRequest with(const std::string& members, const ParseOptions& options = kDatabricks) {
  return parse("{" + kHello + ", " + members + "}", options);
}

void expect(const std::vector<Row>& rows, const ParseOptions& options = kDatabricks) {
  expect_rows(kHello, rows, [&](const Body& body) { parse_chat_request(body, options); });
}

// Rows whose members are the whole body.
void expect_bodies(const std::vector<Row>& rows, const ParseOptions& options = kDatabricks) {
  expect_rows("", rows, [&](const Body& body) { parse_chat_request(body, options); });
}

TEST(ChatRequest, NumbersAndTheirBounds) {
  expect({
      {R"("max_tokens": 1)", {}},
      {R"("max_tokens": null)", {}},
      {R"("max_tokens": 5.0)", {}},
      {R"("max_tokens": 1e2)", {}},
      {R"("max_tokens": 0)", kOutOfRange, "max_tokens"},
      {R"("max_tokens": -1)", kOutOfRange, "max_tokens"},
      {R"("max_tokens": 1.5)", kWrongType, "max_tokens"},
      {R"("max_tokens": "5")", kWrongType, "max_tokens"},
      {R"("max_tokens": 99999999999)", kOutOfRange, "max_tokens"},
      {R"("max_completion_tokens": 0)", kOutOfRange, "max_completion_tokens"},
      {R"("max_completion_tokens": true)", kWrongType, "max_completion_tokens"},
      {R"("temperature": 0)", {}},
      {R"("temperature": 2)", {}},
      {R"("temperature": null)", {}},
      {R"("temperature": -0.01)", kOutOfRange, "temperature"},
      {R"("temperature": 2.01)", kOutOfRange, "temperature"},
      {R"("temperature": "hot")", kWrongType, "temperature"},
      {R"("top_p": 1)", {}},
      {R"("top_p": 0.0001)", {}},
      {R"("top_p": 0)", kOutOfRange, "top_p"},
      {R"("top_p": 1.0001)", kOutOfRange, "top_p"},
      {R"("top_p": [])", kWrongType, "top_p"},
      {R"("top_k": -1)", {}},
      {R"("top_k": 0)", {}},
      {R"("top_k": 1)", {}},
      {R"("top_k": -2)", kOutOfRange, "top_k"},
      {R"("top_k": 0.5)", kWrongType, "top_k"},
      {R"("min_p": 0)", {}},
      {R"("min_p": 1)", {}},
      {R"("min_p": -0.1)", kOutOfRange, "min_p"},
      {R"("min_p": 1.1)", kOutOfRange, "min_p"},
      {R"("n": 1)", {}},
      {R"("n": 5)", {}},
      {R"("n": 0)", kOutOfRange, "n"},
      {R"("n": 6)", kOutOfRange, "n"},
      {R"("n": "1")", kWrongType, "n"},
      {R"("frequency_penalty": -2)", {}},
      {R"("frequency_penalty": 2)", {}},
      {R"("frequency_penalty": 2.1)", kOutOfRange, "frequency_penalty"},
      {R"("frequency_penalty": -2.1)", kOutOfRange, "frequency_penalty"},
      {R"("presence_penalty": 2.1)", kOutOfRange, "presence_penalty"},
      {R"("presence_penalty": -2.1)", kOutOfRange, "presence_penalty"},
      {R"("presence_penalty": {})", kWrongType, "presence_penalty"},
      {R"("repetition_penalty": 10)", {}},
      {R"("repetition_penalty": 0.01)", {}},
      {R"("repetition_penalty": 0)", kOutOfRange, "repetition_penalty"},
      {R"("repetition_penalty": 10.1)", kOutOfRange, "repetition_penalty"},
      {R"("seed": -9223372036854775808)", {}},
      {R"("seed": 9223372036854775807)", {}},
      {R"("seed": 9223372036854775808)", kOutOfRange, "seed"},
      {R"("seed": 0.5)", kWrongType, "seed"},
      {R"("min_tokens": 0)", {}},
      {R"("min_tokens": -1)", kOutOfRange, "min_tokens"},
      {R"("min_tokens": 5, "max_tokens": 5)", {}},
      {R"("min_tokens": 6, "max_tokens": 5)", kOutOfRange, "min_tokens"},
      {R"("top_logprobs": 0)", {}},
      {R"("top_logprobs": 20, "logprobs": true)", {}},
      {R"("top_logprobs": 21, "logprobs": true)", kOutOfRange, "top_logprobs"},
      {R"("top_logprobs": -1, "logprobs": true)", kOutOfRange, "top_logprobs"},
      {R"("top_logprobs": 1)", kConflictingFields, "top_logprobs"},
      {R"("logprobs": 1)", kWrongType, "logprobs"},
      {R"("prompt_logprobs": -1)", {}},
      {R"("prompt_logprobs": 20)", {}},
      {R"("prompt_logprobs": -2)", kOutOfRange, "prompt_logprobs"},
      {R"("prompt_logprobs": 21)", kOutOfRange, "prompt_logprobs"},
      {R"("prompt_logprobs": 1, "stream": true)", kConflictingFields, "prompt_logprobs"},
      {R"("truncate_prompt_tokens": -1)", {}},
      {R"("truncate_prompt_tokens": 1)", {}},
      {R"("truncate_prompt_tokens": 0)", kOutOfRange, "truncate_prompt_tokens"},
      {R"("truncate_prompt_tokens": -2)", kOutOfRange, "truncate_prompt_tokens"},
      {R"("priority": 0)", {}},
      {R"("priority": 1)", kUnsupportedValue, "priority"},
      {R"("priority": 101)", kOutOfRange, "priority"},
      {R"("temperature": 1e400)", kOutOfRange},
  });
}

TEST(ChatRequest, FlagsTextsAndLists) {
  const std::string long_stop = std::string(513, 'x');
  expect({
      {R"("stream": true)", {}},
      {R"("stream": 1)", kWrongType, "stream"},
      {R"("stream": "true")", kWrongType, "stream"},
      {R"("stream_options": {"include_usage": true}, "stream": true)", {}},
      {R"("stream_options": {"include_obfuscation": false}, "stream": true)", {}},
      {R"("stream_options": null)", {}},
      {R"("stream_options": {})", kConflictingFields, "stream_options"},
      {R"("stream_options": {"include_usage": 1}, "stream": true)", kWrongType,
       "stream_options.include_usage"},
      {R"("stream_options": {"foo": 1}, "stream": true)", kUnknownField, "stream_options.foo"},
      {R"("stop": "x")", {}},
      {R"("stop": [])", {}},
      {R"("stop": ["a", "b"])", {}},
      {R"("stop": "")", kBadValue, "stop"},
      {R"("stop": ["a", ""])", kBadValue, "stop[1]"},
      {R"("stop": [1])", kWrongType, "stop[0]"},
      {R"("stop": 1)", kWrongType, "stop"},
      {R"("stop": ")" + long_stop.substr(1) + "\"", {}},
      {R"("stop": ")" + long_stop + "\"", kBadValue, "stop"},
      {R"("stop": [)" + repeated(R"("a")", 16) + "]", {}},
      {R"("stop": [)" + repeated(R"("a")", 17) + "]", kArrayLength, "stop"},
      {R"("logit_bias": {"12": -100, "3": 100})", {}},
      {R"("logit_bias": {"12": 100.5})", kOutOfRange, "logit_bias.12"},
      {R"("logit_bias": {"12": -100.5})", kOutOfRange, "logit_bias.12"},
      {R"("logit_bias": {"x": 1})", kBadTokenId, "logit_bias.x"},
      {R"("logit_bias": {"-1": 1})", kBadTokenId, "logit_bias.-1"},
      {R"("logit_bias": {"1": "a"})", kWrongType, "logit_bias.1"},
      {R"("logit_bias": [])", kWrongType, "logit_bias"},
      {R"("stop_token_ids": [1, 2])", {}},
      {R"("stop_token_ids": [-1])", kBadTokenId, "stop_token_ids[0]"},
      {R"("stop_token_ids": ["1"])", kWrongType, "stop_token_ids[0]"},
      {R"("stop_token_ids": [)" + repeated("1", 65) + "]", kArrayLength, "stop_token_ids"},
      {R"("allowed_token_ids": [])", kArrayLength, "allowed_token_ids"},
      {R"("allowed_token_ids": [7])", {}},
      {R"("bad_words": ["a"])", {}},
      {R"("bad_words": [""])", kBadValue, "bad_words[0]"},
      {R"("bad_words": [)" + repeated(R"("a")", 65) + "]", kArrayLength, "bad_words"},
      {R"("ignore_eos": 0)", kWrongType, "ignore_eos"},
      {R"("include_stop_str_in_output": "no")", kWrongType},
      {R"("skip_special_tokens": 1)", kWrongType},
      {R"("spaces_between_special_tokens": 1)", kWrongType},
      {R"("echo": 1)", kWrongType, "echo"},
      {R"("add_special_tokens": 1)", kWrongType},
      {R"("return_token_ids": 1)", kWrongType},
      {R"("return_tokens_as_token_ids": 1)", kWrongType},
      {R"("request_id": ")" + std::string(128, 'r') + "\"", {}},
      {R"("request_id": ")" + std::string(129, 'r') + "\"", kBadValue, "request_id"},
      {R"("chat_template": "x")", kUnsupportedParameter, "chat_template"},
      {R"("chat_template_kwargs": {"a": 1})", {}},
      {R"("chat_template_kwargs": {"tools": 1})", kBadValue, "chat_template_kwargs.tools"},
      {R"("chat_template_kwargs": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1,
          "i": 1, "j": 1, "k": 1, "l": 1, "m": 1, "n": 1, "o": 1, "p": 1, "q": 1})",
       kArrayLength, "chat_template_kwargs"},
      {R"("documents": [{"title": "a"}])", {}},
      {R"("documents": [{"title": 1}])", kWrongType, "documents[0].title"},
      {R"("documents": [)" + repeated("{}", 129) + "]", kArrayLength, "documents"},
      {R"("reasoning_effort": "none")", {}},
      {R"("reasoning_effort": "high")", kUnsupportedValue, "reasoning_effort"},
      {R"("reasoning_effort": "huge")", kBadValue, "reasoning_effort"},
      {R"("thinking": {"type": "enabled"})", kUnsupportedParameter, "thinking"},
      {R"("include_reasoning": false)", {}},
      {R"("vllm_xargs": {"a": 1})", {}},
      {R"("continue_final_message": true)", kBadMessage, "messages[0]"},
  });
}

TEST(ChatRequest, ClassesOfFields) {
  expect({
      // B: harmless, but well-typed
      {R"("user": "u", "service_tier": "auto", "verbosity": "low", "prompt_cache_key": "k")", {}},
      {R"("safety_identifier": "s", "modalities": ["text"], "store": false, "cache_salt": "x")",
       {}},
      {R"("metadata": {"a": "b"}, "databricks_options": {"return_trace": true})", {}},
      {R"("user": 1)", kWrongType, "user"},
      {R"("metadata": {"a": 1})", kWrongType, "metadata.a"},
      {R"("service_tier": "flex")", kUnsupportedValue, "service_tier"},
      // C: not supported, unless it asks for nothing
      {R"("modalities": ["text", "audio"])", kUnsupportedParameter, "modalities"},
      {R"("store": true)", kUnsupportedParameter, "store"},
      {R"("audio": {"voice": "x"})", kUnsupportedParameter, "audio"},
      {R"("audio": null, "prediction": null, "web_search_options": {}, "logits_processors": [])",
       {}},
      {R"("prediction": {"type": "content"})", kUnsupportedParameter, "prediction"},
      {R"("use_beam_search": true)", kUnsupportedParameter, "use_beam_search"},
      {R"("use_beam_search": false)", {}},
      {R"("prompt_embeds": "x")", kUnsupportedParameter, "prompt_embeds"},
      // D: unknown
      {R"("inputs": [1])", kUnknownField, "inputs"},
      {R"("inputs": null)", kUnknownField, "inputs"},
      {R"("include_stop_reason": true)", kUnknownField, "include_stop_reason"},
      // Not yet
      {R"("tools": [{"type": "function"}])", kUnsupportedParameter, "tools"},
      {R"("tools": [], "tool_choice": "none", "parallel_tool_calls": true)", {}},
      {R"("tools": null, "tool_choice": null)", {}},
      {R"("tool_choice": "auto")", kBadValue, "tool_choice"},
      {R"("tool_choice": 1)", kWrongType, "tool_choice"},
      {R"("functions": [{"name": "f"}])", kUnsupportedParameter, "functions"},
      {R"("function_call": "none")", {}},
      {R"("function_call": {"name": "f"})", kUnsupportedParameter, "function_call"},
      {R"("response_format": {"type": "text"})", {}},
      {R"("response_format": {"type": "json_object"})", kUnsupportedParameter, "response_format"},
      {R"("response_format": {"type": "json_schema"})", kUnsupportedParameter, "response_format"},
      {R"("response_format": {"type": "xml"})", kBadValue, "response_format.type"},
      {R"("response_format": {})", kMissingParam, "response_format.type"},
      {R"("response_format": "text")", kWrongType, "response_format"},
      {R"("structured_outputs": {"json": {}})", kUnsupportedParameter, "structured_outputs"},
      {R"("guided_regex": "a*")", kUnsupportedParameter, "guided_regex"},
      {R"("guided_json": null)", {}},
      {R"("json_schema": {"a": 1})", kUnknownField, "json_schema"},
  });
  expect({{R"("json_schema": {"a": 1})", kUnsupportedParameter, "json_schema"},
          {R"("priority": 1)", kUnsupportedValue, "priority"},
          {R"("n": 128)", {}},
          {R"("n": 129)", kOutOfRange, "n"},
          {R"("top_logprobs": -1, "logprobs": true)", {}}},
         kOpen);
}

TEST(ChatRequest, UnknownFieldSaysTheObservedText) {
  try {
    with(R"("inputs": 1)");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message, "Bad request: json: unknown field \"inputs\"");
  }
}

TEST(ChatRequest, OtherProfilesListWhatTheyIgnore) {
  const ChatRequest request = with(R"("inputs": 1, "foo": null)", kOpen);
  EXPECT_EQ(request.common.ignored_fields, (std::vector<std::string>{"inputs", "foo"}));
  EXPECT_EQ(with(R"("messages": [{"role": "user", "content": "x", "zzz": 1}])", kOpen)
                .common.ignored_fields,
            std::vector<std::string>{"messages[0].zzz"});
}

TEST(ChatRequest, Messages) {
  const auto messages = [](const std::string& list) { return R"("messages": [)" + list + "]"; };
  const std::string user = R"({"role": "user", "content": "x"})";
  const std::string call =
      R"({"role": "assistant", "content": null, "tool_calls":
          [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]})";
  expect_bodies({
      {"", kMissingParam, "messages"},
      {R"("messages": null)", kMissingParam, "messages"},
      {R"("messages": "x")", kWrongType, "messages"},
      {messages(""), kArrayLength, "messages"},
      {messages("1"), kWrongType, "messages[0]"},
      {messages(repeated(user, 2048)), {}},
      {messages(repeated(user, 2049)), kArrayLength, "messages"},
      {messages(R"({"content": "x"})"), kMissingParam, "messages[0].role"},
      {messages(R"({"role": "robot", "content": "x"})"), kBadMessage, "messages[0].role"},
      {messages(R"({"role": "developer", "content": "x"}, )" + user), {}},
      // M1
      {messages(R"({"role": "system", "content": "x"}, )" + user), {}},
      {messages(user + R"(, {"role": "system", "content": "x"}, )" + user), kBadMessage,
       "messages[1]"},
      {messages(R"({"role": "system", "content": "x"}, {"role": "system", "content": "x"}, )" +
                user),
       kBadMessage, "messages[1]"},
      // M2
      {messages(R"({"role": "user", "content": ""})"), {}},
      {messages(R"({"role": "user"})"), kBadMessage, "messages[0].content"},
      {messages(R"({"role": "user", "content": null})"), kBadMessage, "messages[0].content"},
      {messages(R"({"role": "user", "content": 1})"), kWrongType, "messages[0].content"},
      // M3, M4
      {messages(user + ", " + call + R"(, {"role": "tool", "tool_call_id": "c1", "content": "1"})"),
       {}},
      {messages(R"({"role": "assistant", "content": null}, )" + user), kBadMessage,
       "messages[0].content"},
      {messages(R"({"role": "assistant", "content": null, "tool_calls": []}, )" + user),
       kBadMessage, "messages[0].content"},
      // M5
      {messages(call + R"(, {"role": "tool", "tool_call_id": "c2", "content": "1"})"), kBadMessage,
       "messages[1].tool_call_id"},
      {messages(R"({"role": "tool", "content": "1"})"), kMissingParam, "messages[0].tool_call_id"},
      {messages(R"({"role": "user", "content": "1", "tool_call_id": "c"})"), kBadMessage,
       "messages[0].tool_call_id"},
      // M6
      {messages(call + ", " + user), {}},
      // M9
      {messages(user + R"(, {"role": "assistant", "content": "y"})"), kBadMessage, "messages[1]"},
      // M10
      {messages(R"({"role": "user", "content": "x", "refusal": null, "annotations": [],
                   "audio": null, "function_call": null, "reasoning": "r", "reasoning_content": "",
                   "cache_control": {}, "id": "m", "type": "message"})"),
       {}},
      {messages(R"({"role": "user", "content": "x", "foo": 1})"), kUnknownField, "messages[0].foo"},
      // M11
      {messages(R"({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f",
                   "arguments": 3}}]}, )" +
                user),
       kWrongType, "messages[0].tool_calls[0].function.arguments"},
      // M12
      {messages(R"({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}},
                   {"id": "c", "function": {"name": "f"}}]}, )" +
                user),
       kBadMessage, "messages[0].tool_calls[1].id"},
      {messages(R"({"role": "user", "content": "x", "tool_calls": [{"id": "c"}]})"), kBadMessage,
       "messages[0].tool_calls"},
      {messages(R"({"role": "user", "content": "x", "name": ")" + std::string(65, 'n') + "\"}"),
       kBadMessage, "messages[0].name"},
      // Content parts
      {messages(R"({"role": "user", "content": []})"), kBadMessage, "messages[0].content"},
      {messages(R"({"role": "user", "content": [{"type": "image_url", "image_url": {}}]})"),
       kUnsupportedContent, "messages[0].content[0].type"},
      {messages(R"({"role": "user", "content": [{"text": "x"}]})"), kMissingParam,
       "messages[0].content[0].type"},
      {messages(R"({"role": "user", "content": [{"type": "text"}]})"), kMissingParam,
       "messages[0].content[0].text"},
  });
  expect_bodies({{messages(user + R"(, {"role": "system", "content": "x"})"), {}},
                 {messages(user + R"(, {"role": "assistant", "content": "y"})"), {}}},
                kOpen);
}

TEST(ChatRequest, MessageForms) {
  const ChatRequest request = parse(R"({"messages": [
      {"role": "developer", "content": "be brief"},
      {"role": "user", "content": [{"type": "text", "text": "a"},
                                   {"type": "reasoning", "summary": []},
                                   {"type": "text", "text": "b", "cache_control": {}}]},
      {"role": "assistant", "content": null, "tool_calls": [
          {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}},
          {"id": "d", "type": "function", "function": {"name": "g", "arguments": ""}}]},
      {"role": "tool", "tool_call_id": "c", "content": "1"},
      {"role": "assistant", "content": null, "function_call": {"name": "h", "arguments": "{}"}},
      {"role": "function", "name": "h", "content": "2"}]})");
  ASSERT_EQ(request.messages.size(), 6u);
  EXPECT_EQ(request.messages[0].role, "system");
  EXPECT_EQ(request.messages[1].content, "ab");
  EXPECT_FALSE(request.messages[2].content);
  EXPECT_EQ(request.messages[2].tool_calls[0].arguments, R"({"x":1})");
  EXPECT_EQ(request.messages[2].tool_calls[1].arguments, "{}");
  EXPECT_EQ(request.messages[4].tool_calls[0].id, "call_legacy_0");
  EXPECT_EQ(request.messages[5].role, "tool");
  EXPECT_EQ(request.messages[5].tool_call_id, "call_legacy_0");
}

TEST(ChatRequest, MaxCompletionTokensWins) {
  EXPECT_EQ(with(R"("max_tokens": 5, "max_completion_tokens": 7)").generation.max_tokens, 7);
  EXPECT_EQ(with(R"("max_tokens": 5, "max_completion_tokens": null)").generation.max_tokens, 5);
}

TEST(ChatRequest, CapOfTheModel) {
  ParseOptions options = kDatabricks;
  options.max_output_tokens = 8192;
  expect({{R"("max_tokens": 8192)", {}}, {R"("max_tokens": 8193)", kMaxTokensTooLarge}}, options);
  try {
    with(R"("max_tokens": 10000)", options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message, "max_tokens (10000) cannot exceed 8192.");
  }
}

TEST(ChatRequest, VocabularyBoundsTokenIds) {
  ParseOptions options = kWorker;
  options.vocab_size = 100;
  expect({{R"("stop_token_ids": [99])", {}},
          {R"("stop_token_ids": [1, 100])", kBadTokenId, "stop_token_ids[1]"},
          {R"("logit_bias": {"100": 1})", kBadTokenId, "logit_bias.100"}},
         options);
}

TEST(ChatRequest, CommonFields) {
  std::string pairs;
  for (int i = 0; i < 65; ++i) pairs += (i ? ",\"k" : "\"k") + std::to_string(i) + "\": \"v\"";
  expect({
      {R"("client_request_id": ")" + std::string(255, 'c') + "\"", {}},
      {R"("client_request_id": ")" + std::string(256, 'c') + "\"", kBadValue, "client_request_id"},
      {R"("client_request_id": 1)", kWrongType, "client_request_id"},
      {R"("usage_context": {"a": 1})", kWrongType, "usage_context.a"},
      {R"("usage_context": {)" + pairs + "}", kArrayLength, "usage_context"},
      {R"("usage_context": {"a": ")" + std::string(1025, 'v') + "\"}", kBadValue,
       "usage_context.a"},
      {R"("model": 1)", kWrongType, "model"},
  });
  const ChatRequest request =
      with(R"("client_request_id": "c-1", "usage_context": {"project": "demo"}, "user": "u")");
  EXPECT_EQ(request.common.client_request_id, "c-1");
  EXPECT_EQ(request.common.usage_context, (StringPairs{{"project", "demo"}}));
  EXPECT_EQ(request.common.user, "u");
}

TEST(ChatRequest, ExtraParamsAreTopLevelFields) {
  const ChatRequest request =
      with(R"("extra_params": {"top_k": "7", "stop": "END", "ignore_eos": "true"})");
  EXPECT_EQ(request.generation.top_k, 7);
  EXPECT_EQ(request.generation.stop, std::vector<std::string>{"END"});
  EXPECT_TRUE(request.generation.ignore_eos);
  expect({
      {R"("extra_params": {"top_k": 7})", kWrongType, "extra_params.top_k"},
      {R"("extra_params": [])", kWrongType, "extra_params"},
      {R"("extra_params": {"top_k": "7"}, "top_k": 3)", kConflictingFields, "extra_params.top_k"},
      {R"("extra_params": {"foo": "7"})", kUnknownField, "foo"},
      {R"("extra_params": {"extra_params": "{}"})", kConflictingFields},
  });
}

TEST(ChatRequest, BodiesThatAreNotJson) {
  const auto kind = [](std::string_view text) -> std::optional<ErrorKind> {
    try {
      Body body(text);
      return std::nullopt;
    } catch (const Error& error) {
      return error.kind;
    }
  };
  EXPECT_EQ(kind(""), kBadJson);
  EXPECT_EQ(kind("[]"), kBadJson);
  EXPECT_EQ(kind("{} x"), kBadJson);
  EXPECT_EQ(kind("{\"a\": NaN}"), kBadJson);
  EXPECT_EQ(kind("{\"a\": \"\xff\"}"), kBadJson);
  EXPECT_EQ(kind(R"({"a": "\ud800"})"), kBadJson);
  EXPECT_EQ(kind("{\"a\": " + std::string(300, '[') + std::string(300, ']') + "}"), kBadJson);
  EXPECT_EQ(kind("\xEF\xBB\xBF{}"), std::nullopt);
}

TEST(ChatRequest, TheLastOfDuplicatesWins) {
  EXPECT_EQ(with(R"("max_tokens": 5, "max_tokens": 9)").generation.max_tokens, 9);
}

TEST(ChatRequest, ModelOnOpenAiRoutes) {
  ParseOptions options = kDatabricks;
  options.model_required = true;
  expect({{"", kMissingParam, "model"},
          {R"("model": null)", kMissingParam, "model"},
          {R"("model": "m")", {}}},
         options);
  EXPECT_EQ(Body(R"({"model": "m"})").model(), "m");
  EXPECT_THROW(Body(R"({})").model(), Error);
}

TEST(ChatRequest, TemplateFlags) {
  const std::string reply = R"("messages": [{"role": "user", "content": "a"},
                                            {"role": "assistant", "content": "b"}])";
  const ChatRequest request = parse("{" + reply + R"(, "continue_final_message": true})");
  EXPECT_TRUE(request.continue_final_message);
  EXPECT_FALSE(request.add_generation_prompt);
  expect_bodies({{reply + R"(, "continue_final_message": true, "add_generation_prompt": true)",
                  kConflictingFields, "continue_final_message"}});
}

TEST(ChatRequest, StopReasonGoesWithVendorFields) {
  EXPECT_FALSE(with(R"("temperature": 0)").generation.include_stop_reason);
  EXPECT_TRUE(with(R"("min_p": 0)").generation.include_stop_reason);
  EXPECT_TRUE(with(R"("temperature": 0)", kOpen).generation.include_stop_reason);
  EXPECT_FALSE(with(R"("min_p": 0)", kWorker).generation.include_stop_reason);
  EXPECT_TRUE(with(R"("include_stop_reason": true)", kWorker).generation.include_stop_reason);
}

// What the gateway writes, the worker reads back: nothing may get lost on the way.
TEST(ChatRequest, SurvivesTheWire) {
  ParseOptions options = kOpen;
  options.allow_chat_template = options.allow_priority = true;
  const std::string sent = to_json(with(
      R"("model": "m", "max_tokens": 9, "temperature": 0.5, "top_p": 0.25, "top_k": 4, "min_p": 0.125,
         "frequency_penalty": 1, "presence_penalty": -1, "repetition_penalty": 1.5,
         "logit_bias": {"5": -2.5}, "seed": -3, "n": 2, "stop": ["a"], "stop_token_ids": [3],
         "min_tokens": 1, "ignore_eos": true, "include_stop_str_in_output": true,
         "skip_special_tokens": false, "spaces_between_special_tokens": false, "bad_words": ["w"],
         "allowed_token_ids": [1, 2], "echo": true, "add_special_tokens": true,
         "truncate_prompt_tokens": 10, "return_token_ids": true,
         "return_tokens_as_token_ids": true, "priority": -5, "request_id": "r", "stream": true,
         "stream_options": {"include_usage": true, "continuous_usage_stats": true},
         "logprobs": true, "top_logprobs": 3, "add_generation_prompt": false,
         "chat_template": "T", "chat_template_kwargs": {"k": [1]}, "documents": [{"t": "d"}],
         "user": "u", "metadata": {"a": "b"}, "client_request_id": "c")",
      options));
  EXPECT_EQ(sent.find("client_request_id"), std::string::npos);
  const ChatRequest got = parse(sent, kWorker);
  EXPECT_EQ(to_json(got), sent);
  EXPECT_TRUE(got.common.ignored_fields.empty());
  EXPECT_EQ(got.generation.seed, -3);
  EXPECT_EQ(got.generation.logit_bias[0].second, -2.5);
  EXPECT_EQ(got.chat_template_kwargs, R"({"k":[1]})");
  for (const char* field : {"max_tokens",
                            "temperature",
                            "top_p",
                            "top_k",
                            "min_p",
                            "frequency_penalty",
                            "seed",
                            "n",
                            "presence_penalty",
                            "repetition_penalty",
                            "stop_token_ids",
                            "min_tokens",
                            "ignore_eos",
                            "include_stop_str_in_output",
                            "skip_special_tokens",
                            "bad_words",
                            "allowed_token_ids",
                            "echo",
                            "spaces_between_special_tokens",
                            "add_special_tokens",
                            "truncate_prompt_tokens",
                            "return_token_ids",
                            "return_tokens_as_token_ids",
                            "priority",
                            "request_id",
                            "logprobs",
                            "top_logprobs",
                            "add_generation_prompt",
                            "chat_template",
                            "documents",
                            "user",
                            "metadata",
                            "include_stop_reason",
                            "continuous_usage_stats"}) {
    EXPECT_NE(sent.find('"' + std::string(field) + "\":"), std::string::npos) << field;
  }
}

TEST(ChatResponse, IsWrittenAsSpecified) {
  ChatResponse response{.id = "chatcmpl-1", .created = 1767225600, .model = "m"};
  response.choices.push_back(
      {.message = {.role = "assistant", .content = "Lima."}, .finish_reason = FinishReason::kStop});
  response.usage =
      Usage{.prompt_tokens = 46, .completion_tokens = 4, .total_tokens = 50, .cached_tokens = 0};
  response.system_fingerprint = "fp_0123456789";
  response.served_model_name = "llama";
  EXPECT_EQ(to_json(response),
            R"({"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"m",)"
            R"("choices":[{"index":0,"message":{"role":"assistant","content":"Lima.",)"
            R"("refusal":null},"finish_reason":"stop","logprobs":null}],)"
            R"("usage":{"prompt_tokens":46,"completion_tokens":4,"total_tokens":50,)"
            R"("prompt_tokens_details":{"cached_tokens":0}},)"
            R"("system_fingerprint":"fp_0123456789","served_model_name":"llama"})");
}

TEST(ChatChunk, UsageIsAbsentNullOrFilled) {
  ChatChunk chunk{.id = "i", .created = 1, .model = "m", .system_fingerprint = "f"};
  chunk.choices.push_back({.delta = {.role = true, .content = ""}});
  const std::string head =
      R"({"id":"i","object":"chat.completion.chunk","created":1,"model":"m",)"
      R"("system_fingerprint":"f","choices":[{"index":0,"delta":{"role":"assistant",)"
      R"("content":""},"finish_reason":null,"logprobs":null}])";
  EXPECT_EQ(to_json(chunk), head + "}");
  chunk.null_usage = true;
  EXPECT_EQ(to_json(chunk), head + R"(,"usage":null})");
  chunk.usage = Usage{.prompt_tokens = 1, .completion_tokens = 2, .total_tokens = 3};
  EXPECT_EQ(to_json(chunk), head + R"(,"usage":{"prompt_tokens":1,"completion_tokens":2,)"
                                   R"("total_tokens":3}})");
}

TEST(ChatChunk, SurvivesTheWire) {
  ChatChunk chunk{.id = "i", .created = 1, .model = "m"};
  ChatChunkChoice choice{.index = 2};
  choice.delta.content = "né\n\"\\";
  choice.delta.tool_calls = {{.index = 1, .id = "c", .name = "f", .arguments = "{"}};
  choice.finish_reason = FinishReason::kLength;
  choice.stop_reason = StopReason(std::int64_t{7});
  choice.token_ids = {{1, 2}};
  ChatTokenLogprob token;
  token.token = "\xEF\xBF\xBD";
  token.logprob = -0.5;
  token.bytes = "\xC3";
  token.top_logprobs = {{.token = "a", .logprob = -1, .bytes = "a"}};
  choice.logprobs = ChatLogprobs{{token}};
  chunk.choices.push_back(choice);
  chunk.timings = Timings{.queue_ms = 1.5};
  const std::string text = to_json(chunk);
  EXPECT_EQ(to_json(parse_chat_chunk(text)), text);
}

TEST(ChatResponse, FromAStrangeUpstream) {
  EXPECT_THROW(parse_chat_response("<html>"), Error);
  EXPECT_THROW(parse_chat_response("[]"), Error);
  const ChatResponse response = parse_chat_response(
      R"({"id": 5, "choices": [null, {"index": "x", "message": {"content": 7},
          "finish_reason": "eos", "logprobs": 3}], "usage": {"prompt_tokens": "?"}})");
  ASSERT_EQ(response.choices.size(), 1u);
  EXPECT_EQ(response.choices[0].finish_reason, FinishReason::kStop);
  EXPECT_FALSE(response.choices[0].message.content);
}

}  // namespace
}  // namespace tessera::api
