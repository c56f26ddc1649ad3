// Anthropic's Messages and Text Completions, at Anthropic itself and inside of Bedrock and Vertex.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "providers/provider.h"

namespace tessera::providers {

extern const Provider kAnthropic;

// Where a body goes. Elsewhere than at Anthropic it has the API's version instead of the model;
// Bedrock's has no `stream` either, but the betas, and knows fewer members.
enum class ClaudeHost { kAnthropic, kBedrock, kVertex };
std::string_view claude_host_name(ClaudeHost host);  // as `provider` of errors

// What the hosts have in common. to_wire fills in body, headers, dropped and memo, not the path.
WireRequest claude_chat_to_wire(const api::ChatRequest& request, const Context& context,
                                ClaudeHost host);
api::ChatResponse claude_chat_from_wire(const WireResponse& wire, const Memo& memo,
                                        ClaudeHost host);
// Reads the `data` of events alone: Bedrock's frames have no names.
std::unique_ptr<ChatDecoder> claude_chat_stream(const Memo& memo, ClaudeHost host);

WireRequest claude_completion_to_wire(const api::CompletionRequest& request, const Context& context,
                                      ClaudeHost host);
api::CompletionResponse claude_completion_from_wire(const WireResponse& wire, const Memo& memo,
                                                    ClaudeHost host);
std::unique_ptr<CompletionDecoder> claude_completion_stream(const Memo& memo, ClaudeHost host);

// An `error` event's payload: {"type": "error", "error": {"type", "message"}}.
Error claude_stream_error(std::string_view payload, ClaudeHost host);

}  // namespace tessera::providers
