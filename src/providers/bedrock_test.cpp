// Bedrock: names, dialects, and streams from their bytes; Claude's models by their names.
#include "providers/bedrock.h"

#include <gtest/gtest.h>

#include "api/error_json.h"
#include "base/strings.h"
#include "providers/aws_event_stream.h"
#include "providers/claude_models.h"

namespace tessera::providers {
namespace {

catalog::ExternalModel bedrock(std::string vendor, std::string name) {
  catalog::ExternalModel model{.provider = "amazon-bedrock", .name = std::move(name)};
  model.config = {{"aws_region", "us-east-1"}, {"bedrock_provider", std::move(vendor)}};
  return model;
}

TEST(Bedrock, ModelIds) {
  const auto id = [](const char* vendor, const char* name) {
    return bedrock_model_id(bedrock(vendor, name));
  };
  EXPECT_EQ(id("anthropic", "claude-3-5-sonnet-20241022-v2:0"),
            "anthropic.claude-3-5-sonnet-20241022-v2:0");
  EXPECT_EQ(id("Anthropic", "claude-v2"), "anthropic.claude-v2");
  EXPECT_EQ(id("cohere", "command-text-v14"), "cohere.command-text-v14");
  EXPECT_EQ(id("cohere", "embed-english-v3"), "cohere.embed-english-v3");
  EXPECT_EQ(id("ai21labs", "j2-ultra-v1"), "ai21.j2-ultra-v1");
  EXPECT_EQ(id("amazon", "titan-embed-text-v1"), "amazon.titan-embed-text-v1");
  // What is an id already, or another vendor's, or a name of one's own.
  for (const char* name : {"anthropic.claude-v2", "us.anthropic.claude-3-haiku-20240307-v1:0",
                           "arn:aws:bedrock:us-east-1:1:provisioned-model/abc", "my-model",
                           "titan-embed-text-v1", "provisioned/claude-x"}) {
    EXPECT_EQ(id("anthropic", name), name);
  }
  EXPECT_EQ(id("grok", "grok-1"), "grok-1");
}

TEST(Bedrock, Dialects) {
  const auto find = [](const char* vendor, const char* api = "") {
    catalog::ExternalModel model = bedrock(vendor, "x");
    model.config["bedrock_chat_api"] = api;
    return find_bedrock(model);
  };
  for (const char* vendor : {"anthropic", "cohere", "ai21labs", "amazon", "grok", ""}) {
    for (const char* api : {"", "invoke", "converse"}) {
      const Provider* provider = find(vendor, api);
      ASSERT_NE(provider, nullptr);
      EXPECT_NE(provider->chat.to_wire, nullptr);
      EXPECT_FALSE(provider->writes_our_form);
    }
  }
  EXPECT_EQ(find("ANTHROPIC"), find("anthropic", "invoke"));
  EXPECT_NE(find("anthropic"), find("anthropic", "converse"));
  EXPECT_EQ(find("grok"), find("meta"));
  EXPECT_EQ(find("anthropic")->embeddings.to_wire, nullptr);
  EXPECT_EQ(find("ai21labs")->embeddings.to_wire, nullptr);
  EXPECT_EQ(find("grok")->completions.to_wire, nullptr);
  EXPECT_EQ(find("ai21labs")->completions.stream, nullptr);  // emulated
  const catalog::ExternalModel titan = bedrock("amazon", "titan-embed-text-v1");
  EXPECT_EQ(find_bedrock(titan)->embeddings.max_inputs(titan), 1);
  const catalog::ExternalModel cohere = bedrock("cohere", "embed-english-v3");
  EXPECT_EQ(find_bedrock(cohere)->embeddings.max_inputs(cohere), 96);
}

TEST(Bedrock, OneInputPerTitanCall) {
  const catalog::ExternalModel titan = bedrock("amazon", "titan-embed-text-v1");
  api::EmbeddingRequest request;
  request.inputs = {{.text = "red"}, {.text = "blue"}};
  EXPECT_THROW(find_bedrock(titan)->embeddings.to_wire(request, {.model = titan}), Error);
}

// --- Streams from their bytes ---

std::string event(std::string_view type, std::string_view payload) {
  return aws_frame({{":event-type", std::string(type)},
                    {":content-type", "application/json"},
                    {":message-type", "event"}},
                   payload);
}

std::string chunk(std::string_view json) {
  return event("chunk", "{\"bytes\":\"" + base64_encode(json) + "\",\"p\":\"abc\"}");
}

const std::string kClaudeStream =
    chunk(
        R"({"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":3}}})") +
    chunk(R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})") +
    chunk(
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
        "\"text\":\"a\u2028b é 漢 😀\"}}") +
    chunk(R"({"type":"content_block_stop","index":0})") +
    chunk(
        R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}})") +
    chunk(R"({"type":"message_stop"})");

const std::string kConverseStream =
    event("messageStart", R"({"role":"assistant","p":"ab"})") +
    event("contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"é 漢 😀\"}}") +
    event("contentBlockStop", R"({"contentBlockIndex":0})") +
    event("messageStop", R"({"stopReason":"end_turn"})") +
    event("metadata", R"({"usage":{"inputTokens":3,"outputTokens":2}})");

// Fed to the parser in pieces of `step` bytes, and what the decoder makes of it.
std::string decoded(const Provider& provider, std::string_view bytes, std::size_t step) {
  const Memo memo{.model = "m", .seed = 1};
  AwsEventStreamParser parser;
  const std::unique_ptr<ChatDecoder> decoder = provider.chat.stream(memo);
  std::string out;
  try {
    const auto write = [&](const std::vector<api::ChatChunk>& chunks) {
      for (const api::ChatChunk& chunk : chunks) out += to_json(chunk) + '\n';
    };
    for (std::size_t i = 0; i < bytes.size(); i += step) {
      for (const AwsFrame& frame : parser.feed(bytes.substr(i, step))) {
        write(decoder->feed({frame.name, frame.data, frame.exception}));
      }
    }
    parser.finish();
    write(decoder->finish());
    out += "done";
  } catch (const Error& error) {
    out += api::stream_error_json(error);
  }
  return out;
}

TEST(Bedrock, StreamsCutAtEveryByte) {
  catalog::ExternalModel model = bedrock("anthropic", "claude-v3");
  const Provider& invoke = *find_bedrock(model);
  model.config["bedrock_chat_api"] = "converse";
  const Provider& converse = *find_bedrock(model);
  for (const auto& [provider, bytes] :
       {std::pair(&invoke, &kClaudeStream), std::pair(&converse, &kConverseStream)}) {
    const std::string whole = decoded(*provider, *bytes, bytes->size());
    EXPECT_TRUE(whole.ends_with("done")) << whole;
    EXPECT_NE(whole.find("漢 😀"), std::string::npos);
    EXPECT_NE(whole.find("\"prompt_tokens\":3,\"completion_tokens\":2"), std::string::npos)
        << whole;
    for (std::size_t step = 1; step < 12; ++step)
      EXPECT_EQ(decoded(*provider, *bytes, step), whole);
  }
}

TEST(Bedrock, StreamsThatEndTooEarly) {
  catalog::ExternalModel model = bedrock("anthropic", "claude-v3");
  const Provider& invoke = *find_bedrock(model);
  for (std::size_t length = 0; length < kClaudeStream.size(); ++length) {
    const std::string text = decoded(invoke, std::string_view(kClaudeStream).substr(0, length), 64);
    EXPECT_NE(text.find("upstream_stream_truncated"), std::string::npos) << length;
    EXPECT_EQ(text.find("\"finish_reason\":\"stop\""), std::string::npos) << length;
  }
}

TEST(Bedrock, BrokenChecksums) {
  const Provider& invoke = *find_bedrock(bedrock("anthropic", "claude-v3"));
  for (std::size_t i = 0; i < kClaudeStream.size(); i += 7) {
    std::string bytes = kClaudeStream;
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
    const std::string text = decoded(invoke, bytes, bytes.size());
    EXPECT_FALSE(text.ends_with("done")) << i;
  }
}

// --- Claude's models ---

TEST(ClaudeModels, ByName) {
  using S = ClaudeTraits::Sampling;
  using R = ClaudeTraits::Reasoning;
  struct Case {
    const char* name;
    S sampling;
    R reasoning;
    bool native_schema;
  };
  const Case cases[] = {
      {"claude-1", S::kFree, R::kNone, false},
      {"claude-1.3-100k", S::kFree, R::kNone, false},
      {"claude-2.1", S::kFree, R::kNone, false},
      {"claude-instant-1.2", S::kFree, R::kNone, false},
      {"claude-v2", S::kFree, R::kNone, false},
      {"claude-3-5-sonnet-latest", S::kFree, R::kNone, false},
      {"claude-3-opus-20240229", S::kFree, R::kNone, false},
      {"anthropic.claude-3-5-haiku-20241022-v1:0", S::kFree, R::kNone, false},
      {"claude-3-7-sonnet-20250219", S::kFree, R::kBudget, false},
      {"claude-sonnet-4-20250514", S::kFree, R::kBudget, false},
      {"claude-opus-4-0", S::kFree, R::kBudget, false},
      {"us.anthropic.claude-opus-4-1-20250805-v1:0", S::kOneOfTwo, R::kBudget, false},
      {"claude-sonnet-4-5-20250929", S::kOneOfTwo, R::kBudget, true},
      {"claude-haiku-4-5@20251001", S::kOneOfTwo, R::kBudget, true},
      {"claude-opus-4-5-20251101", S::kOneOfTwo, R::kEffort, true},
      {"claude-sonnet-4-6", S::kOneOfTwo, R::kEffort, true},
      {"claude-opus-4-6", S::kFree, R::kEffort, true},
      {"claude-opus-4-7", S::kFixed, R::kEffort, true},
      {"Claude-Sonnet-5", S::kFixed, R::kEffort, true},
      {"claude-opus-5-20270101", S::kFixed, R::kEffort, true},
      // Names that tell nothing.
      {"arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", S::kFree, R::kBudget,
       false},
      {"claude", S::kFree, R::kBudget, false},
      {"", S::kFree, R::kBudget, false},
  };
  for (const Case& c : cases) {
    const ClaudeTraits traits = claude_traits(c.name);
    EXPECT_EQ(traits.sampling, c.sampling) << c.name;
    EXPECT_EQ(traits.reasoning, c.reasoning) << c.name;
    EXPECT_EQ(traits.native_schema, c.native_schema) << c.name;
  }
}

}  // namespace
}  // namespace tessera::providers
