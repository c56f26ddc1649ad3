// The embeddings contract: POST …/embeddings (data-plane 2.7; OpenAI "Embeddings").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/body.h"
#include "api/completion.h"
#include "api/fields.h"
#include "api/options.h"

namespace tessera::api {

enum class EncodingFormat { kFloat, kBase64 };
enum class EmbedDtype { kFloat32, kFloat16, kBfloat16 };

struct EmbeddingRequest {
  CommonFields common;
  std::vector<TextOrTokens> inputs;  // at least one, none empty
  std::string instruction;           // prefixed to each text
  EncodingFormat encoding_format = EncodingFormat::kFloat;
  EmbedDtype embed_dtype = EmbedDtype::kFloat32;  // of base64
  bool big_endian = false;                        // of base64
  std::optional<int> dimensions;
  std::optional<int> truncate_prompt_tokens;  // keep the first k; -1: the window
  std::optional<bool> normalize;              // none: as the entity says
  bool add_special_tokens = true;
  int priority = 0;
};

EmbeddingRequest parse_embedding_request(const Body& body, const ParseOptions& options);
std::string to_json(const EmbeddingRequest& request, const WireOptions& wire = {});

struct EmbeddingResponse {
  std::string id;  // "embd-…"
  std::string model;
  std::vector<std::vector<float>> data;
  Usage usage{.completion_tokens = std::nullopt};
  std::string served_model_name;  // written when not empty
};

// Floats with the fewest digits that read back the same, or base64 as the request asks.
std::string to_json(const EmbeddingResponse& response, EncodingFormat format = {},
                    EmbedDtype dtype = {}, bool big_endian = false);
// Reads both encodings (base64 as little-endian float32). Throws Error(kUpstreamBadGateway).
EmbeddingResponse parse_embedding_response(std::string_view json);

}  // namespace tessera::api
