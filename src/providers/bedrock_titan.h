// Amazon's Titan models on Bedrock: text and embeddings
// (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html,
// -embed-text). Private to the room.
#pragma once

#include <memory>

#include "providers/provider.h"

namespace tessera::providers {

// Without the path.
WireRequest titan_text_to_wire(const api::CompletionRequest& request, const Context& context);
api::CompletionResponse titan_text_from_wire(const WireResponse& wire, const Memo& memo);
std::unique_ptr<CompletionDecoder> titan_text_stream(const Memo& memo);

// One input per call.
WireRequest titan_embed_to_wire(const api::EmbeddingRequest& request, const Context& context);
api::EmbeddingResponse titan_embed_from_wire(const WireResponse& wire, const Memo& memo);

}  // namespace tessera::providers
