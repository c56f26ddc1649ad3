// Bedrock's own form of chat, for every vendor's models
// (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html). Private to
// the room.
#pragma once

#include <memory>

#include "providers/provider.h"

namespace tessera::providers {

// Without the path.
WireRequest converse_to_wire(const api::ChatRequest& request, const Context& context);
api::ChatResponse converse_from_wire(const WireResponse& wire, const Memo& memo);
// Events by their :event-type; exceptions are the caller's affair.
std::unique_ptr<ChatDecoder> converse_stream(const Memo& memo);

}  // namespace tessera::providers
