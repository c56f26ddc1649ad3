#include "providers/parameters.h"

#include <gtest/gtest.h>

#include "providers/schema.h"
#include "providers/tool_names.h"

namespace tessera::providers {
namespace {

constexpr Rule kRules[] = {
    {.field = "max_tokens", .native = "options.maxTokens"},
    {.field = "temperature", .lowest = 0, .highest = 1, .scale = 0.5},
    {.field = "top_p", .native = "p", .lowest = 0.01, .highest = 0.99},
    {.field = "stop", .native = "stop_sequences", .max_items = 2},
    {.field = "user", .native = "metadata.user_id"},
    {.field = "tools", .fate = Rule::Fate::kOwn},
    {.field = "reasoning_effort", .fate = Rule::Fate::kDrop},
};
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {{"candidateCount", "n"}};
constexpr Dialect kDialect = {.provider = "Someone", .rules = kRules, .aliases = kAliases};

struct Wire {
  std::string body;
  std::vector<std::string> dropped;
};

Wire write(const api::ChatRequest& request, std::map<std::string, std::string> config = {},
           const Dialect& dialect = kDialect) {
  const catalog::ExternalModel model{.config = std::move(config)};
  Parameters parameters(request, dialect, {.model = model});
  json::object body;
  parameters.write(body);
  return {to_json(body), parameters.dropped()};
}

Error refusal(const api::ChatRequest& request, std::map<std::string, std::string> config = {}) {
  try {
    write(request, std::move(config));
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::kInternal, "was accepted");
}

TEST(Parameters, AreRenamedAndNested) {
  api::ChatRequest request;
  request.generation.max_tokens = 5;
  request.generation.top_p = 0.5;
  request.generation.stop = {"END"};
  request.common.user = "u-1";
  EXPECT_EQ(write(request).body,
            R"({"metadata":{"user_id":"u-1"},"options":{"maxTokens":5},"p":0.5,)"
            R"("stop_sequences":["END"]})");
}

// 1.4: what frameworks send without being asked is never refused.
TEST(Parameters, DefaultsAreLeftOut) {
  api::ChatRequest request;
  request.generation.top_p = 1;  // above this provider's 0.99
  request.generation.n = 1;
  request.generation.top_k = -1;
  request.parallel_tool_calls = true;
  request.tool_choice = api::ToolChoice{};
  request.response_format = api::ResponseFormat{};
  request.common.extra = {{"something", "null"}, {"store", "false"}, {"service_tier", "\"auto\""}};
  const Wire wire = write(request);
  EXPECT_EQ(wire.body, "{}");
  EXPECT_TRUE(wire.dropped.empty());
}

TEST(Parameters, WhatTheProviderLacksIsRefusedByName) {
  api::ChatRequest request;
  request.generation.n = 2;
  EXPECT_EQ(refusal(request).param, "n");
  EXPECT_EQ(refusal(request).kind, ErrorKind::kUnsupportedParameter);
  EXPECT_NE(refusal(request).message.find("Someone"), std::string::npos);
  request = {};
  request.generation.max_tokens = 9;
  request.generation.max_tokens_is_completion = true;
  request.generation.logit_bias = {{5, 1.0}};
  EXPECT_EQ(refusal(request).param, "logit_bias");
  request = {};
  request.generation.stop = {"a", "b", "c"};
  EXPECT_EQ(refusal(request).param, "stop");
}

TEST(Parameters, DropListsWhatIsLeftOut) {
  api::ChatRequest request;
  request.generation.n = 2;
  request.generation.seed = 7;
  request.generation.temperature = 1.5;
  request.generation.max_tokens = 3;
  const Wire wire = write(request, {{"unsupported_params", "drop"}});
  EXPECT_EQ(wire.body, R"({"options":{"maxTokens":3}})");
  EXPECT_EQ(wire.dropped, (std::vector<std::string>{"n", "seed", "temperature"}));
}

TEST(Parameters, FieldsWithoutConsequenceAreDroppedAndListed) {
  api::ChatRequest request;
  request.reasoning_effort = "low";
  request.common.metadata = {{"team", "a"}};
  request.common.extra = {{"prompt_cache_key", "\"k\""}, {"store", "true"}};
  const Wire wire = write(request);
  EXPECT_EQ(wire.body, "{}");
  EXPECT_EQ(wire.dropped, (std::vector<std::string>{"metadata", "prompt_cache_key",
                                                    "reasoning_effort", "store"}));
}

TEST(Parameters, TemperatureByPolicy) {
  api::ChatRequest request;
  request.generation.temperature = 1.4;
  const Error refused = refusal(request);
  EXPECT_EQ(refused.param, "temperature");
  EXPECT_NE(refused.message.find("between 0 and 1"), std::string::npos) << refused.message;
  EXPECT_NE(refused.message.find("1.4"), std::string::npos);
  EXPECT_EQ(write(request, {{"temperature_policy", "scale"}}).body, R"({"temperature":0.7})");
  EXPECT_EQ(write(request, {{"temperature_policy", "clamp"}}).body, R"({"temperature":1.0})");
  request.generation.temperature = 0.3;
  EXPECT_EQ(write(request).body, R"({"temperature":0.3})");
}

TEST(Parameters, UnknownMembersGoOnAsTheyCame) {
  api::ChatRequest request;
  request.common.extra = {{"safe_prompt", "true"}, {"labels", R"({"a":[1,2.5]})"}};
  EXPECT_EQ(write(request).body, R"({"safe_prompt":true,"labels":{"a":[1,2.5]}})");
}

TEST(Parameters, NativeNamesOfOurFieldsAreRefused) {
  for (const auto& [alias, ours] : {std::pair("stop_sequences", "'stop'"),
                                    {"p", "'top_p'"},
                                    {"maxTokens", "'max_tokens'"},
                                    {"candidateCount", "'n'"}}) {
    api::ChatRequest request;
    request.common.extra = {{alias, "1"}};
    const Error error = refusal(request, {{"unsupported_params", "drop"}});
    EXPECT_EQ(error.param, alias);
    EXPECT_NE(error.message.find("use " + std::string(ours)), std::string::npos) << error.message;
  }
  api::ChatRequest request;
  request.common.extra = {{"options", R"({"maxTokens":1})"}};
  EXPECT_EQ(refusal(request).param, "options.maxTokens");
  request.common.extra = {{"options", R"({"other":1})"}};
  request.generation.max_tokens = 2;
  EXPECT_EQ(write(request).body, R"({"options":{"maxTokens":2,"other":1}})");
}

TEST(Parameters, ADefaultForRequiredMaxTokens) {
  Dialect required = kDialect;
  required.default_max_tokens = 4096;
  EXPECT_EQ(write({}, {}, required).body, R"({"options":{"maxTokens":4096}})");
  EXPECT_EQ(write({}, {{"default_max_tokens", "10"}}, required).body,
            R"({"options":{"maxTokens":10}})");
}

TEST(Parameters, TheDialectTakesWhatItHandles) {
  api::ChatRequest request;
  request.generation.seed = 1;
  request.common.extra = {{"input_type", "\"query\""}};
  const catalog::ExternalModel model;
  Parameters parameters(request, kDialect, {.model = model});
  EXPECT_EQ(parameters.take("input_type"), json::value("query"));
  EXPECT_EQ(parameters.take("seed"), json::value(1));
  EXPECT_EQ(parameters.take("seed"), std::nullopt);
  json::object body;
  parameters.write(body);
  EXPECT_EQ(to_json(body), "{}");
}

// --- Schemas ---

std::string cleaned(const char* schema) {
  return to_json(openapi_schema(parse_json_object(schema), "tools[0].function.parameters"));
}

TEST(Schema, OfToolsWithoutParameters) {
  EXPECT_EQ(to_json(parameters_schema("")), R"({"type":"object","properties":{}})");
  EXPECT_EQ(to_json(parameters_schema("{}")), R"({"type":"object","properties":{}})");
  EXPECT_EQ(to_json(parameters_schema(R"({"properties":{}})")),
            R"({"properties":{},"type":"object"})");
}

TEST(Schema, OpenApiSubset) {
  EXPECT_EQ(cleaned(R"({"$schema": "x", "type": "object", "additionalProperties": false,
      "strict": true, "properties": {
        "a": {"type": ["string", "null"], "examples": ["x"], "format": "email"},
        "b": {"$ref": "#/$defs/B", "description": "a b"},
        "c": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]},
        "d": {"const": "x"},
        "e": {"type": "integer", "enum": [1, 2]},
        "f": {"oneOf": [{"type": "string"}, {"type": "number"}]},
        "g": {"allOf": [{"$ref": "#/$defs/B"}]},
        "h": {"type": "array", "items": {"type": "string", "format": "date-time"}},
        "i": {"type": ["integer", "string"]}},
      "required": ["a", "zz"], "$defs": {"B": {"type": "boolean"}}})"),
            R"({"type":"OBJECT","required":["a"],"properties":{)"
            R"("a":{"nullable":true,"type":"STRING"},)"
            R"("b":{"type":"BOOLEAN","description":"a b"},)"
            R"("c":{"nullable":true,"type":"INTEGER"},)"
            R"("d":{"type":"STRING","enum":["x"]},)"
            R"("e":{"type":"INTEGER"},)"
            R"("f":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"}]},)"
            R"("g":{"type":"BOOLEAN"},)"
            R"("h":{"type":"ARRAY","items":{"type":"STRING","format":"date-time"}},)"
            R"("i":{"anyOf":[{"type":"INTEGER"},{"type":"STRING"}]}}})");
}

// Small as written: eight references deep, ten abreast.
std::string manyfold() {
  std::string schema = R"({"$ref": "#/$defs/a", "$defs": {)";
  for (char name = 'a'; name < 'h'; ++name) {
    schema.append(1, '"').append(1, name).append(R"(": {"properties": {)");
    for (char property = '0'; property <= '9'; ++property) {
      if (property > '0') schema += ',';
      schema.append(1, '"').append(1, property).append(R"(": {"$ref": "#/$defs/)");
      schema.append(1, static_cast<char>(name + 1)).append(R"("})");
    }
    schema.append("}},");
  }
  return schema.append(R"("h": {"type": "string"}}})");
}

TEST(Schema, WhatCannotBeSaid) {
  const std::string many = manyfold();
  for (const char* schema :
       {R"({"$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}},
           "properties": {"n": {"$ref": "#/$defs/N"}}})",
        R"({"properties": {"n": {"$ref": "#"}}})",
        R"({"properties": {"n": {"$ref": "#/no/where"}}})",
        R"({"properties": {"n": {"$ref": "https://example.com/x"}}})",
        R"({"allOf": [{"type": "string"}, {"type": "integer"}]})", many.c_str()}) {
    try {
      cleaned(schema);
      ADD_FAILURE() << schema;
    } catch (const Error& error) {
      EXPECT_EQ(error.param, "tools[0].function.parameters");
      EXPECT_EQ(http_status(error.kind), 400);
    }
  }
}

// --- Tool names ---

TEST(ToolNames, AreFittedAndFoundAgain) {
  ToolNames names({.also_allowed = "", .digit_first = false});
  EXPECT_EQ(names.rename("get_stock"), "get_stock");
  EXPECT_EQ(names.rename("get-stock"), "get_stock_2");
  EXPECT_EQ(names.rename("get-stock"), "get_stock_2");
  EXPECT_EQ(names.rename("7up"), "_7up");
  const Memo memo{.tool_names = names.back()};
  EXPECT_EQ(client_name(memo, "get_stock_2"), "get-stock");
  EXPECT_EQ(client_name(memo, "get_stock"), "get_stock");
  EXPECT_EQ(client_name(memo, "_7up"), "7up");
  EXPECT_EQ(client_name(memo, "unknown"), "unknown");
}

}  // namespace
}  // namespace tessera::providers
