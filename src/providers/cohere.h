// Cohere, and those of its forms that Amazon Bedrock serves, too. Private to the room.
#pragma once

#include <optional>
#include <string_view>

#include "base/json.h"
#include "providers/provider.h"

namespace tessera::providers {

extern const Provider kCohere;

// Cohere's own API has the model and `stream` in the body; Bedrock says both by its path, writes
// `stream` for legacy completions only and includes the stop text, which is cut off here.
enum class CohereHost { kCohere, kBedrock };

// Chat in its first form (command, command-light, *-nightly; Bedrock's command-r): path is that of
// Cohere. The answers' functions read Bedrock's invocation metrics, too.
WireRequest cohere_v1_chat(const api::ChatRequest& request, const Context& context,
                           CohereHost host);
api::ChatResponse cohere_v1_chat_answer(const WireResponse& wire, const Memo& memo);
std::unique_ptr<ChatDecoder> cohere_v1_chat_stream(const Memo& memo);

// Legacy generate.
WireRequest cohere_generate(const api::CompletionRequest& request, const Context& context,
                            CohereHost host);
api::CompletionResponse cohere_generate_answer(const WireResponse& wire, const Memo& memo);
std::unique_ptr<CompletionDecoder> cohere_generate_stream(const Memo& memo);

inline constexpr int kCohereMaxTexts = 96;  // in one call
WireRequest cohere_embed(const api::EmbeddingRequest& request, const Context& context,
                         CohereHost host);
api::EmbeddingResponse cohere_embed_answer(const WireResponse& wire, const Memo& memo);

// Chat in its second form.
WireRequest cohere_v2_chat(const api::ChatRequest& request, const Context& context);
api::ChatResponse cohere_v2_chat_answer(const WireResponse& wire, const Memo& memo);
std::unique_ptr<ChatDecoder> cohere_v2_chat_stream(const Memo& memo);

// {"meta" | "usage": {"tokens", "billed_units", "cached_tokens"}} or the old "token_count".
std::optional<api::Usage> cohere_usage(const json::object& holder);
// Throws the Error that ERROR and TIMEOUT stand for.
api::FinishReason cohere_finish_reason(std::string_view reason, std::string_view message = {});

}  // namespace tessera::providers
