// What external providers get and give: profile kExternal, tools, parts, members nobody here knows.
#include <gtest/gtest.h>

#include "api/chat.h"
#include "api/completion.h"
#include "api/embedding.h"
#include "api/error_json.h"
#include "api/parse_rows.h"
#include "api/stream_fold.h"

namespace tessera::api {
namespace {

using enum ErrorKind;

const std::string kHello = R"("messages": [{"role": "user", "content": "Hello"}])";
const auto kExternal = ParseOptions::for_profile(Profile::kExternal);

// Our own models once they know tools: the limits of data-plane 3.1 and 4.1 hold.
ParseOptions with_tools(Profile profile) {
  ParseOptions options = ParseOptions::for_profile(profile);
  options.allow_tools = true;
  return options;
}

ChatRequest parse(const std::string& body, const ParseOptions& options = kExternal) {
  return parse_chat_request(Body(body), options);
}

ChatRequest with(const std::string& members, const ParseOptions& options = kExternal) {
  return parse("{" + kHello + ", " + members + "}", options);
}

void expect(const std::vector<Row>& rows, const ParseOptions& options = kExternal) {
  expect_rows(kHello, rows, [&](const Body& body) { parse_chat_request(body, options); });
}

std::string tool(const std::string& function) {
  return R"({"type": "function", "function": )" + function + "}";
}

TEST(External, UnknownMembersAreKeptAsTheyCame) {
  const ChatRequest request = with(
      R"("new_field": {"a": [1, null]}, "min_p": 7, "documents": "theirs", "store": true,
         "nothing": null, "verbosity": null, "extra_params": {"deep": "{\"b\": 2}", "t": "text"})");
  EXPECT_EQ(request.common.extra, (StringPairs{{"new_field", R"({"a":[1,null]})"},
                                               {"min_p", "7"},
                                               {"documents", R"("theirs")"},
                                               {"store", "true"},
                                               {"deep", R"({"b":2})"},
                                               {"t", R"("text")"}}));
  EXPECT_TRUE(request.common.ignored_fields.empty());
  EXPECT_EQ(to_json(request),
            R"({"messages":[{"role":"user","content":"Hello"}],"new_field":{"a":[1,null]},)"
            R"("min_p":7,"documents":"theirs","store":true,"deep":{"b":2},"t":"text"})");
}

TEST(External, TypesAreOursRangesAreTheirs) {
  expect({
      {R"("temperature": 5)", {}},
      {R"("temperature": "hot")", kWrongType, "temperature"},
      {R"("top_p": 0)", {}},
      {R"("n": 500)", {}},
      {R"("n": 0)", kOutOfRange, "n"},
      {R"("max_tokens": 0)", {}},
      {R"("max_tokens": 1.5)", kWrongType, "max_tokens"},
      {R"("stop": [)" + repeated(R"("a")", 17) + "]", {}},
      {R"("stop": [""])", kBadValue, "stop[0]"},
      {R"("stop": ")" + std::string(600, 'x') + "\"", {}},
      {R"("frequency_penalty": -9)", {}},
      {R"("top_logprobs": 3)", {}},
      {R"("stream_options": {"include_usage": true})", {}},
      {R"("logit_bias": {"x": 1})", kBadTokenId, "logit_bias.x"},
      {R"("metadata": {"a": ")" + std::string(600, 'x') + "\"}", {}},
      {R"("metadata": {"a": 1})", kWrongType, "metadata.a"},
      {R"("client_request_id": ")" + std::string(256, 'c') + "\"", kBadValue, "client_request_id"},
      {R"("reasoning_effort": "extreme")", {}},
      {R"("reasoning_effort": 1)", kWrongType, "reasoning_effort"},
      {R"("thinking": {"type": "enabled"})", {}},
      {R"("thinking": true)", kWrongType, "thinking"},
  });
  EXPECT_FALSE(with(R"("stream_options": {"include_usage": true})").generation.include_usage);
}

TEST(External, LimitKeepsItsName) {
  EXPECT_NE(to_json(with(R"("max_completion_tokens": 5)")).find(R"("max_completion_tokens":5)"),
            std::string::npos);
  EXPECT_NE(to_json(with(R"("max_tokens": 5)")).find(R"("max_tokens":5)"), std::string::npos);
  const ChatRequest both = with(R"("max_tokens": 5, "max_completion_tokens": 7)");
  EXPECT_EQ(both.generation.max_tokens, 7);
  EXPECT_TRUE(both.generation.max_tokens_is_completion);
}

TEST(External, NullsAreAbsent) {
  const ChatRequest request = with(
      R"("tools": null, "tool_choice": null, "response_format": null, "thinking": null, "n": null,
         "stop": null, "seed": null, "logit_bias": null, "functions": null, "user": null)");
  EXPECT_EQ(to_json(request), R"({"messages":[{"role":"user","content":"Hello"}]})");
}

TEST(Tools, AreReadAndWritten) {
  const std::string members =
      R"("tools": [{"type": "function", "function": {"name": "f", "description": "d",
         "parameters": {"type": "object", "properties": {}}, "strict": true}},
         {"type": "function", "function": {"name": "g", "parameters": {}}}],
         "tool_choice": {"type": "function", "function": {"name": "g"}},
         "parallel_tool_calls": false)";
  const ChatRequest request = with(members, with_tools(Profile::kDatabricks));
  ASSERT_EQ(request.tools.size(), 2u);
  EXPECT_EQ(request.tools[0].description, "d");
  EXPECT_EQ(request.tools[0].strict, true);
  EXPECT_EQ(request.tools[1].parameters, "");
  EXPECT_EQ(request.tool_choice->mode, ToolChoice::Mode::kNamed);
  EXPECT_EQ(request.tool_choice->name, "g");
  EXPECT_EQ(request.parallel_tool_calls, false);
  const std::string wire = to_json(request);
  EXPECT_EQ(to_json(parse(wire, with_tools(Profile::kInternal))), wire);
}

TEST(Tools, WhatIsWrongIsNamed) {
  const std::string f = R"("tools": [)" + tool(R"({"name": "f"})") + "]";
  const std::vector<Row> everywhere = {
      {R"("tools": {})", kWrongType, "tools"},
      {R"("tools": [1])", kWrongType, "tools[0]"},
      {R"("tools": [{}])", kMissingParam, "tools[0].type"},
      {R"("tools": [{"type": "web_search"}])", kUnsupportedValue, "tools[0].type"},
      {R"("tools": [{"type": "function"}])", kMissingParam, "tools[0].function"},
      {R"("tools": [)" + tool("{}") + "]", kMissingParam, "tools[0].function.name"},
      {R"("tools": [)" + tool(R"({"name": ""})") + "]", kBadValue, "tools[0].function.name"},
      {R"("tools": [)" + tool(R"({"name": "a b"})") + "]", kBadValue, "tools[0].function.name"},
      {R"("tools": [)" + tool("{\"name\": \"" + std::string(65, 'a') + "\"}") + "]", kBadValue,
       "tools[0].function.name"},
      {R"("tools": [)" + tool(R"({"name": "f"})") + ", " + tool(R"({"name": "f"})") + "]",
       kBadValue, "tools[1].function.name"},
      {R"("tools": [)" + tool(R"({"name": "f", "description": 1})") + "]", kWrongType,
       "tools[0].function.description"},
      {R"("tools": [)" + tool(R"({"name": "f", "strict": "yes"})") + "]", kWrongType,
       "tools[0].function.strict"},
      {R"("tools": [)" + tool(R"({"name": "f", "parameters": []})") + "]", kBadValue,
       "tools[0].function.parameters"},
      {f + R"(, "tool_choice": 1)", kWrongType, "tool_choice"},
      {f + R"(, "tool_choice": "some")", kBadValue, "tool_choice"},
      {f + R"(, "tool_choice": {"type": "custom"})", kBadValue, "tool_choice.type"},
      {f + R"(, "tool_choice": {"type": "function"})", kMissingParam, "tool_choice.function"},
      {f + R"(, "tool_choice": {"type": "function", "function": {"name": "g"}})", kBadValue,
       "tool_choice.function.name"},
      {f + R"(, "tool_choice": "auto")", {}},
      {f + R"(, "tool_choice": "none")", {}},
      {f + R"(, "tool_choice": "required")", {}},
      {R"("tool_choice": "auto")", kBadValue, "tool_choice"},
      {R"("tool_choice": "none")", {}},
      {R"("tools": [], "tool_choice": "required")", {}},
      {f + R"(, "parallel_tool_calls": 1)", kWrongType, "parallel_tool_calls"},
      {f + R"(, "functions": [{"name": "g"}])", kConflictingFields, "functions"},
      {f + R"(, "tool_choice": "auto", "function_call": "auto")", kConflictingFields,
       "function_call"},
      {R"("functions": [{"name": "g"}], "function_call": {"name": "h"})", kBadValue,
       "function_call.name"},
      {R"("functions": [{"name": "g"}], "function_call": "sometimes")", kBadValue, "function_call"},
      {R"("functions": [{}])", kMissingParam, "functions[0].name"},
      {f + R"(, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto",
             "tools": []}})",
       kBadValue, "tool_choice.allowed_tools.tools"},
      {f + R"(, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto",
             "tools": [{"type": "function", "function": {"name": "x"}}]}})",
       kBadValue, "tool_choice.allowed_tools.tools[0].function.name"},
      {f + R"(, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "none",
             "tools": []}})",
       kBadValue, "tool_choice.allowed_tools.mode"},
  };
  expect(everywhere);
  expect(everywhere, with_tools(Profile::kDatabricks));
  expect(
      {{R"("tools": [)" + tool(R"({"name": "f", "cache_control": {}})") + "]", kUnknownField,
        "tools[0].function.cache_control"},
       {R"("tools": [)" + tool(R"({"name": "f", "parameters": {"type": "string"}})") + "]",
        kBadValue, "tools[0].function.parameters.type"},
       {R"("tools": [)" + repeated(tool(R"({"name": "f"})"), 33) + "]", kArrayLength, "tools"},
       {R"("tools": [)" +
            tool("{\"name\": \"f\", \"description\": \"" + std::string(16385, 'd') + "\"}") + "]",
        kBadValue, "tools[0].function.description"}},
      with_tools(Profile::kDatabricks));
}

TEST(Tools, SchemaErrorsHaveTheirCode) {
  try {
    with(R"("tools": [)" + tool(R"({"name": "f", "parameters": "x"})") + "]");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "invalid_function_parameters");
    EXPECT_NE(error.message.find("'f'"), std::string::npos) << error.message;
  }
}

TEST(Tools, AllowedOnesAreLeft) {
  const ChatRequest request =
      with(R"("tools": [)" + tool(R"({"name": "f"})") + ", " + tool(R"({"name": "g"})") +
           R"(], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required",
         "tools": [{"type": "function", "function": {"name": "g"}}]}})");
  ASSERT_EQ(request.tools.size(), 1u);
  EXPECT_EQ(request.tools[0].name, "g");
  EXPECT_EQ(request.tool_choice->mode, ToolChoice::Mode::kRequired);
}

TEST(Tools, ProvidersGetThemWithMembersOfTheirOwn) {
  const std::string json =
      R"({"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}})";
  EXPECT_EQ(with(R"("tools": [)" + json + "]").tools[0].json, json);
}

TEST(Tools, LegacyFunctionsAreAnsweredInTheirForm) {
  const ChatRequest request = with(R"("functions": [{"name": "f"}], "function_call": "auto")");
  EXPECT_TRUE(request.legacy_functions);
  EXPECT_EQ(request.tools[0].name, "f");

  ChatResponse response{.id = "i", .created = 1, .model = "m"};
  ChatChoice& choice = response.choices.emplace_back();
  choice.message.tool_calls = {{.id = "a", .name = "f", .arguments = "{}"},
                               {.id = "b", .name = "f", .arguments = "{}"}};
  choice.finish_reason = FinishReason::kToolCalls;
  EXPECT_EQ(to_legacy_json(response),
            R"({"id":"i","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,)"
            R"("message":{"role":"assistant","content":null,"refusal":null,)"
            R"("function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call",)"
            R"("logprobs":null}]})");
  ChatChunk chunk{.id = "i", .created = 1, .model = "m"};
  chunk.choices.emplace_back().delta.tool_calls = {{.index = 0, .id = "a", .name = "f"},
                                                   {.index = 1, .id = "b", .name = "f"}};
  EXPECT_NE(to_legacy_json(chunk).find(R"("delta":{"function_call":{"name":"f","arguments":""}})"),
            std::string::npos);
}

TEST(ResponseFormat, WhatIsWrongIsNamed) {
  const std::vector<Row> rows = {
      {R"("response_format": {"type": "text"})", {}},
      {R"("response_format": {"type": "json_object"})", {}},
      {R"("response_format": "json")", kWrongType, "response_format"},
      {R"("response_format": {})", kMissingParam, "response_format.type"},
      {R"("response_format": {"type": "xml"})", kBadValue, "response_format.type"},
      {R"("response_format": {"type": "json_schema"})", kMissingParam,
       "response_format.json_schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"schema": {}}})",
       kMissingParam, "response_format.json_schema.name"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "a b",
          "schema": {}}})",
       kBadValue, "response_format.json_schema.name"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "a"}})", kMissingParam,
       "response_format.json_schema.schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "a",
          "schema": true}})",
       kWrongType, "response_format.json_schema.schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {},
          "strict": 1}})",
       kWrongType, "response_format.json_schema.strict"},
  };
  expect(rows);
  expect(rows, with_tools(Profile::kDatabricks));
  EXPECT_FALSE(with(R"("response_format": {"type": "text"})").response_format);
}

TEST(Parts, AreKeptForProviders) {
  const ChatRequest request = parse(R"({"messages": [{"role": "user", "content": [
      {"type": "text", "text": "a"},
      {"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}},
      {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
      {"type": "file", "file": {"file_id": "f"}},
      {"type": "video_url", "video_url": {"url": "v"}},
      {"type": "text", "text": "b"}]}]})");
  const ChatMessage& message = request.messages[0];
  EXPECT_EQ(message.content, "ab");
  ASSERT_EQ(message.parts.size(), 6u);
  using Kind = ContentPart::Kind;
  EXPECT_EQ(message.parts[1].kind, Kind::kImage);
  EXPECT_EQ(message.parts[1].url, "https://x");
  EXPECT_EQ(message.parts[1].detail, "low");
  EXPECT_EQ(message.parts[2].kind, Kind::kAudio);
  EXPECT_EQ(message.parts[3].kind, Kind::kFile);
  EXPECT_EQ(message.parts[4].kind, Kind::kOther);
  EXPECT_EQ(message.parts[4].json, R"({"type":"video_url","video_url":{"url":"v"}})");
  EXPECT_EQ(to_json(parse(to_json(request))), to_json(request));
  const auto bodies = [](const std::vector<Row>& rows) {
    expect_rows("", rows, [](const Body& body) { parse_chat_request(body, kExternal); });
  };
  bodies({{R"("messages": [{"role": "user", "content": [{"type": "image_url"}]}])", kMissingParam,
           "messages[0].content[0].image_url"},
          {R"("messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])",
           kMissingParam, "messages[0].content[0].image_url.url"},
          {R"("messages": [{"role": "user", "content": [{"text": "x"}]}])", kMissingParam,
           "messages[0].content[0].type"}});
}

TEST(Reasoning, IsAcceptedBackInBothForms) {
  const ChatRequest request = parse(R"({"messages": [
      {"role": "user", "content": "x"},
      {"role": "assistant", "content": "a", "reasoning_content": "r", "refusal": null,
       "thinking_blocks": [{"type": "thinking", "thinking": "r", "signature": "s"}]},
      {"role": "assistant", "content": [
          {"type": "reasoning", "summary": [{"type": "summary_text", "text": "r2"}]},
          {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": null, "reasoning_content": "only"}]})");
  EXPECT_EQ(request.messages[1].reasoning_content, "r");
  EXPECT_EQ(request.messages[1].thinking_blocks,
            R"([{"type":"thinking","thinking":"r","signature":"s"}])");
  EXPECT_EQ(request.messages[2].content, "b");
  EXPECT_EQ(request.messages[2].parts[0].kind, ContentPart::Kind::kReasoning);
  EXPECT_EQ(request.messages[2].parts[0].text, "r2");
  const std::string plain = to_json(request, {.reasoning_history = false});
  EXPECT_EQ(plain.find("reasoning"), std::string::npos) << plain;
  EXPECT_EQ(plain.find("thinking"), std::string::npos) << plain;
  // Our own models read no thoughts of the past.
  const ChatRequest local =
      parse(R"({"messages": [{"role": "assistant", "content": "a", "reasoning_content": "r"},
                             {"role": "user", "content": "x"}]})",
            ParseOptions::for_profile(Profile::kDatabricks));
  EXPECT_EQ(local.messages[0].reasoning_content, "");
}

TEST(Answers, UnknownMembersSurvive) {
  const std::string plain =
      R"({"id":"i","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,)"
      R"("message":{"role":"assistant","content":"a","refusal":null,"annotations":[]},)"
      R"("finish_reason":"stop","logprobs":null,"content_filter_results":{"hate":{}}}],)"
      R"("usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,)"
      R"("prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":1,"audio_tokens":0},)"
      R"("completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0},"cost":0.5},)"
      R"("service_tier":"default"})";
  EXPECT_EQ(to_json(parse_chat_response(plain)), plain);
  const std::string chunk =
      R"({"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,)"
      R"("delta":{"content":"a","new":1},"finish_reason":null,"logprobs":null,"more":[1]}],)"
      R"("prompt_filter_results":[]})";
  EXPECT_EQ(to_json(parse_chat_chunk(chunk)), chunk);
  const std::string completion =
      R"({"id":"i","object":"text_completion","created":1,"model":"m","choices":[{"index":0,)"
      R"("text":"a","finish_reason":"stop","logprobs":null,"x":1}],"y":2})";
  EXPECT_EQ(to_json(parse_completion_response(completion)), completion);
  EXPECT_EQ(to_json(parse_chat_chunk(R"({"obfuscation": "xyz"})")).find("obfuscation"),
            std::string::npos);
}

TEST(Answers, ListContentBecomesText) {
  const ChatResponse response = parse_chat_response(
      R"({"choices": [{"message": {"content": [
          {"type": "reasoning", "summary": [{"type": "summary_text", "text": "One", "signature": "s"}]},
          {"type": "text", "text": "Tw"}, {"type": "text", "text": "o."}, 7]}}]})");
  EXPECT_EQ(response.choices[0].message.content, "Two.");
  EXPECT_EQ(response.choices[0].reasoning_content, "One");
  EXPECT_NE(response.choices[0].thinking_blocks.find("\"signature\":\"s\""), std::string::npos);
}

TEST(Answers, FoldOfWhatIsNew) {
  ChatFold fold;
  const auto add = [&](const std::string& delta) {
    fold.add(parse_chat_chunk(R"({"id": "i", "choices": [{"index": 0, "delta": )" + delta + "}]}"));
  };
  add(R"({"role": "assistant", "content": ""})");
  add(R"({"reasoning_content": "r", "thinking_blocks": [{"a": 1}]})");
  add(R"({"thinking_blocks": [{"b": 2}], "annotations": [1]})");
  add(R"({"annotations": [2], "tool_calls": [{"index": 0, "id": "c", "function": {"name": "f",
          "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "t"}}}]})");
  const ChatResponse response = fold.finish();
  const ChatChoice& choice = response.choices.at(0);
  EXPECT_EQ(choice.thinking_blocks, R"([{"a":1},{"b":2}])");
  EXPECT_EQ(choice.message.extra, (StringPairs{{"annotations", "[2]"}}));
  EXPECT_EQ(choice.message.tool_calls[0].extra_content, R"({"google":{"thought_signature":"t"}})");
}

TEST(Answers, ReasoningInsideOfContent) {
  ChatResponse response;
  response.choices.resize(3);
  response.choices[0].message.content = "Two.";
  response.choices[0].reasoning_content = "One";
  response.choices[0].thinking_blocks =
      R"([{"type":"thinking","thinking":"One","signature":"s"},{"type":"redacted_thinking"}])";
  response.choices[1].reasoning_content = "One";
  response.choices[2].message.content = "2";
  put_reasoning_into_content(response);
  const std::string json = to_json(response);
  EXPECT_NE(json.find(R"("content":[{"type":"reasoning","summary":[{"type":"summary_text",)"
                      R"("text":"One","signature":"s"}]},{"type":"redacted_thinking"},)"
                      R"({"type":"text","text":"Two."}],"refusal":null},)"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("content":[{"type":"reasoning","summary":[{"type":"summary_text",)"
                      R"("text":"One"}]}],"refusal":null},)"),
            std::string::npos);
  EXPECT_NE(json.find(R"("content":"2","refusal":null},)"), std::string::npos);
  EXPECT_EQ(json.find("reasoning_content"), std::string::npos);

  const auto chunk = [](const std::string& delta) {
    ChatChunk chunk = parse_chat_chunk(R"({"choices": [{"index": 0, "delta": )" + delta + "}]}");
    put_reasoning_into_content(chunk);
    const std::string json = to_json(chunk);
    const std::size_t begin = json.find(R"("delta":)");
    return json.substr(begin, json.find(R"(,"finish_reason")") - begin);
  };
  EXPECT_EQ(chunk(R"({"role": "assistant", "content": ""})"),
            R"("delta":{"role":"assistant","content":""})");
  EXPECT_EQ(chunk(R"({"reasoning_content": "One"})"),
            R"("delta":{"content":[{"type":"reasoning","summary":[{"type":"summary_text",)"
            R"("text":"One"}]}]})");
  EXPECT_EQ(chunk(R"({"content": "T", "thinking_blocks": [{"type": "thinking", "thinking": "One",
                      "signature": "s"}]})"),
            R"("delta":{"content":[{"type":"reasoning","summary":[{"type":"summary_text",)"
            R"("text":"","signature":"s"}]},{"type":"text","text":"T"}]})");
  EXPECT_EQ(chunk("{}"), R"("delta":{})");
}

TEST(Answers, LogprobsOfARefusalSurvive) {
  const std::string chunk =
      R"({"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,)"
      R"("delta":{"refusal":"No"},"finish_reason":null,"logprobs":{"content":[],)"
      R"("refusal":[{"token":"No","logprob":-0.5,"bytes":null}]}}]})";
  EXPECT_EQ(to_json(parse_chat_chunk(chunk)), chunk);
}

TEST(Completions, ExternalOnesKeepTheirMembers) {
  const CompletionRequest request = parse_completion_request(
      Body(R"({"prompt": ["a", "b"], "best_of": 50, "n": 100, "logprobs": 50, "suffix": "s",
               "error_behavior": "theirs", "response_format": {"type": "x"}})"),
      kExternal);
  EXPECT_EQ(request.common.extra, (StringPairs{{"error_behavior", R"("theirs")"},
                                               {"response_format", R"({"type":"x"})"}}));
  EXPECT_NE(to_json(request).find(R"("error_behavior":"theirs")"), std::string::npos);
}

TEST(Embeddings, ExternalOnesKeepTheirMembers) {
  const EmbeddingRequest request = parse_embedding_request(
      Body(R"({"input": "a", "input_type": "query", "truncate_prompt_tokens": "x"})"), kExternal);
  EXPECT_EQ(request.common.extra,
            (StringPairs{{"input_type", R"("query")"}, {"truncate_prompt_tokens", R"("x")"}}));
}

TEST(ErrorJson, ProvidersFailures) {
  Error error(kProviderOverloaded, "Overloaded");
  error.retry_after_ms = 1500;
  error.provider =
      std::make_shared<ProviderFailure>(ProviderFailure{.provider = "anthropic",
                                                        .code = "overloaded_error",
                                                        .status = 529,
                                                        .body = R"({"type": "error"})"});
  EXPECT_EQ(error_json(error, ErrorStyle::kOpenAi),
            R"({"error":{"message":"Overloaded","type":"overloaded_error","param":null,)"
            R"("code":"provider_overloaded","provider":"anthropic",)"
            R"("provider_code":"overloaded_error","provider_status":529},)"
            R"("error_code":"TEMPORARILY_UNAVAILABLE","message":"Overloaded"})");
  EXPECT_EQ(error_json(error, ErrorStyle::kDatabricks),
            R"({"error_code":"TEMPORARILY_UNAVAILABLE","message":"Overloaded",)"
            R"("error":"Received error from anthropic",)"
            R"("external_model_message":{"type":"error"}})");
  EXPECT_EQ(retry_headers(error), (std::vector<std::pair<std::string, std::string>>{
                                      {"retry-after", "2"}, {"retry-after-ms", "1500"}}));
  Error quota(kProviderQuotaExhausted, "Pay");
  EXPECT_EQ(retry_headers(quota).back(),
            (std::pair<std::string, std::string>("x-should-retry", "false")));
  error.provider =
      std::make_shared<ProviderFailure>(ProviderFailure{.provider = "x", .body = "<html>"});
  EXPECT_NE(error_json(error, ErrorStyle::kDatabricks).find(R"("external_model_message":"<html>")"),
            std::string::npos);
}

}  // namespace
}  // namespace tessera::api
