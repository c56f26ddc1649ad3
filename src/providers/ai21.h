// AI21 Labs, and the form of its J2 models that Amazon Bedrock serves, too. Private to the room.
#pragma once

#include "providers/provider.h"

namespace tessera::providers {

extern const Provider kAi21;

// J2 completions (legacy); nobody streams them. On Bedrock: no path, no `logitBias`, no `epoch`.
enum class J2Host { kAi21, kBedrock };
WireRequest j2_complete(const api::CompletionRequest& request, const Context& context, J2Host host);
api::CompletionResponse j2_answer(const WireResponse& wire, const Memo& memo);

}  // namespace tessera::providers
