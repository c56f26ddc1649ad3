// Google Cloud Vertex AI and the PaLM API. Private to the room.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "providers/provider.h"

namespace tessera::providers {

extern const Provider kVertex;
extern const Provider kPalm;

inline constexpr std::string_view kVertexName = "google-cloud-vertex-ai";

// The path of a model's method: "/v1/projects/…/models/gemini-2.0-flash:generateContent". Accepts
// names with their "publishers/…/models/" or "models/" (claude-… is Anthropic's), tuned models as
// "endpoints/…" and whole resource names ("projects/…").
std::string vertex_path(const catalog::ExternalModel& model, std::string_view method);
// A model's name without what people put before it: "gemini-2.0-flash".
std::string_view vertex_model(const catalog::ExternalModel& model);

// Gemini: chat (and completions, as a chat of one message).
WireRequest gemini_chat(const api::ChatRequest& request, const Context& context);
api::ChatResponse gemini_answer(const WireResponse& wire, const Memo& memo);
std::unique_ptr<ChatDecoder> gemini_stream(const Memo& memo);

// PaLM's models on Vertex (legacy): text-bison, chat-bison.
WireRequest bison_completion(const api::CompletionRequest& request, const Context& context);
api::CompletionResponse bison_completion_answer(const WireResponse& wire, const Memo& memo);
std::unique_ptr<CompletionDecoder> bison_completion_stream(const Memo& memo);
WireRequest bison_chat(const api::ChatRequest& request, const Context& context);
api::ChatResponse bison_chat_answer(const WireResponse& wire, const Memo& memo);

// PaLM's form of a conversation: {"context", "examples", "messages": [{"author", "content"}]}.
// Throws Error(kBadMessage) unless user and assistant alternate and the user has the last word.
json::object palm_conversation(const api::ChatRequest& request, std::string_view provider);

// {"error": {"code", "message", "status", "details"}}, bare or in an array; `wire.status` 0 in a
// stream.
Error google_error(std::string_view provider, const WireResponse& wire);

}  // namespace tessera::providers
