// A whole answer presented as the stream that the client asked for and the provider does not have.
#pragma once

#include <vector>

#include "api/chat.h"
#include "api/completion.h"

namespace tessera::gateway {

// Role, text, calls and finish of each choice, then the usage on its own; folded again they give
// the same answer.
std::vector<api::ChatChunk> chunks_of(api::ChatResponse response);
std::vector<api::CompletionResponse> chunks_of(api::CompletionResponse response);

}  // namespace tessera::gateway
