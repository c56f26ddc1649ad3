// Completions of models that only chat: one message of the user, its answer as the text. Private to
// the room.
#pragma once

#include "providers/provider.h"

namespace tessera::providers {

// Calls to_wire with the chat; refuses (or lists as left out) what only completions have.
WireRequest complete_by_chat(const api::CompletionRequest& request, const Context& context,
                             std::string_view provider,
                             WireRequest (*to_wire)(const api::ChatRequest&, const Context&));
api::CompletionResponse completion_of(api::ChatResponse chat);
std::unique_ptr<CompletionDecoder> completions_of(std::unique_ptr<ChatDecoder> chat);

}  // namespace tessera::providers
