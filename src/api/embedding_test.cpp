#include "api/embedding.h"

#include <gtest/gtest.h>

#include "api/parse_rows.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

using enum ErrorKind;

const auto kDatabricks = ParseOptions::for_profile(Profile::kDatabricks);
const auto kWorker = ParseOptions::for_profile(Profile::kInternal);

TEST(EmbeddingRequest, Fields) {
  const auto parse = [](const Body& body) { parse_embedding_request(body, kDatabricks); };
  expect_rows("",
              {
                  {"", kMissingParam, "input"},
                  {R"("input": "a")", {}},
                  {R"("input": ["a", "b"])", {}},
                  {R"("input": [1, 2])", {}},
                  {R"("input": [[1], [2]])", {}},
                  {R"("input": "")", kBadValue, "input"},
                  {R"("input": ["a", ""])", kBadValue, "input[1]"},
                  {R"("input": [])", kArrayLength, "input"},
                  {R"("input": [[]])", kArrayLength, "input[0]"},
                  {R"("input": [1, "a"])", kWrongType, "input[1]"},
                  {R"("input": {})", kWrongType, "input"},
                  {R"("input": [)" + repeated(R"("a")", 2048) + "]", {}},
                  {R"("input": [)" + repeated(R"("a")", 2049) + "]", kArrayLength, "input"},
              },
              parse);
  expect_rows(R"("input": "a")",
              {
                  {R"("instruction": "i")", {}},
                  {R"("instruction": 1)", kWrongType, "instruction"},
                  {R"("instruction": ")" + std::string(4097, 'i') + "\"", kBadValue, "instruction"},
                  {R"("encoding_format": "float")", {}},
                  {R"("encoding_format": "base64")", {}},
                  {R"("encoding_format": "hex")", kBadValue, "encoding_format"},
                  {R"("dimensions": 1)", {}},
                  {R"("dimensions": 0)", kOutOfRange, "dimensions"},
                  {R"("dimensions": "8")", kWrongType, "dimensions"},
                  {R"("truncate_prompt_tokens": -1)", {}},
                  {R"("truncate_prompt_tokens": 0)", kOutOfRange, "truncate_prompt_tokens"},
                  {R"("normalize": true)", {}},
                  {R"("normalize": 1)", kWrongType, "normalize"},
                  {R"("add_special_tokens": false)", {}},
                  {R"("embed_dtype": "float32", "endianness": "little")", {}},
                  {R"("embed_dtype": "float16")", kConflictingFields, "embed_dtype"},
                  {R"("endianness": "big")", kConflictingFields, "endianness"},
                  {R"("embed_dtype": "float16", "encoding_format": "base64")", {}},
                  {R"("embed_dtype": "int8")", kBadValue, "embed_dtype"},
                  {R"("endianness": "middle")", kBadValue, "endianness"},
                  {R"("user": "u", "client_request_id": "c", "usage_context": {"a": "b"})", {}},
                  {R"("priority": 1)", kUnsupportedValue, "priority"},
                  {R"("temperature": 1)", kUnknownField, "temperature"},
              },
              parse);
  expect_rows(R"("input": [1])", {{R"("instruction": "i")", kConflictingFields, "instruction"}},
              parse);
}

TEST(EmbeddingRequest, SurvivesTheWire) {
  const std::string body =
      R"({"model":"m","input":["a","b"],"instruction":"i","encoding_format":"base64",)"
      R"("embed_dtype":"bfloat16","endianness":"big","dimensions":8,"truncate_prompt_tokens":-1,)"
      R"("normalize":false,"add_special_tokens":false,"priority":3})";
  EXPECT_EQ(to_json(parse_embedding_request(Body(body), kWorker)), body);
}

TEST(EmbeddingResponse, Encodings) {
  EmbeddingResponse response{.id = "embd-1", .model = "m"};
  response.data = {{0.5f, -0.25f, 1.0f}, {0.1f}};
  response.usage.prompt_tokens = response.usage.total_tokens = 2;
  const std::string floats = to_json(response);
  EXPECT_NE(floats.find(R"("embedding":[0.5,-0.25,1.0]},{"object":"embedding","index":1,)"
                        R"("embedding":[0.1]}],"usage":{"prompt_tokens":2,"total_tokens":2}})"),
            std::string::npos)
      << floats;
  // external-providers 2.2: base64 of [0.5, -0.25, 1]
  const std::string base64 = to_json(response, EncodingFormat::kBase64);
  EXPECT_NE(base64.find(R"("embedding":"AAAAPwAAgL4AAIA/")"), std::string::npos) << base64;
  EXPECT_EQ(parse_embedding_response(floats).data, response.data);
  EXPECT_EQ(parse_embedding_response(base64).data, response.data);
}

TEST(EmbeddingResponse, HalfPrecisionAndByteOrder) {
  EmbeddingResponse response;
  //        exact, tie to even, smallest subnormal, infinity by overflow
  response.data = {{1.0f, 2049.0f, 0x1p-24f, 70000.0f}};
  const auto bytes = [&](EmbedDtype dtype, bool big) {
    const std::string text = to_json(response, EncodingFormat::kBase64, dtype, big);
    const auto from = text.find("\"embedding\":\"") + 13;
    return hex_encode(*base64_decode(text.substr(from, text.find('"', from) - from)));
  };
  EXPECT_EQ(bytes(EmbedDtype::kFloat16, true),
            "3c0068000001"
            "7c00");
  EXPECT_EQ(bytes(EmbedDtype::kFloat16, false),
            "003c006801"
            "00007c");
  EXPECT_EQ(bytes(EmbedDtype::kBfloat16, true).substr(0, 8), "3f804500");
}

TEST(EmbeddingResponse, FromAStrangeUpstream) {
  for (const char* text :
       {"x", R"({"data": [1]})", R"({"data": [{"embedding": "***"}]})",
        R"({"data": [{"index": 7, "embedding": []}]})", R"({"data": [{}]})",
        R"({"data": [{"index": -1, "embedding": []}]})", R"({"data": [{"embedding": ["a"]}]})"}) {
    try {
      parse_embedding_response(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, kUpstreamBadGateway) << text;
    }
  }
}

}  // namespace
}  // namespace tessera::api
