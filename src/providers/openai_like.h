// What the dialects in OpenAI's form have in common: OpenAI, Azure, Databricks serving and custom
// URLs. Private to the room.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "providers/parameters.h"
#include "providers/provider.h"

namespace tessera::providers {

// Where a request goes and what is special about it.
struct LikeRequest {
  std::string path;
  const Dialect& dialect;
  bool with_model = true;         // false: the URL says it
  std::string_view model = {};    // instead of the configured name
  bool developer_role = false;    // it knows the role "developer"
  bool reasoning_history = true;  // it takes reasoning of earlier turns back
  bool stream_options = true;     // false: it does not know them, usage cannot be asked for
  bool ask_usage = true;          // of a stream, for the meter
  bool base64 = false;            // embeddings: it knows encoding_format
  bool completion_limit = true;   // it knows max_completion_tokens
  bool usual_temperature = true;  // false: it refuses even its own default, 1
};

WireRequest to_like(const api::ChatRequest& request, const Context& context,
                    const LikeRequest& like);
WireRequest to_like(const api::CompletionRequest& request, const Context& context,
                    const LikeRequest& like);
WireRequest to_like(const api::EmbeddingRequest& request, const Context& context,
                    const LikeRequest& like);

// The fields that OpenAI has, with those of reasoning models under the name that they want, and
// what compatible servers have: top_k and thinking, too.
extern const Dialect kOpenAiFields, kReasoningFields;
extern const Dialect kCustomFields, kDatabricksFields;

// OpenAI's newer models think before they answer: ^(o\d|gpt-5), fine-tuned or not.
bool is_reasoning_model(std::string_view name);

// For models without a system role: its text goes before that of the first user message.
api::ChatRequest without_system(const api::ChatRequest& request);
// o1-mini, o1-preview
bool has_no_system_role(std::string_view model);

// How much of an answer is taken on trust.
struct LikeAnswer {
  std::string_view provider;  // as in the configuration, for errors
  // A turn that ends in calls ends with "tool_calls", whatever the server says (1.7).
  bool corrects_finish = false;
  // The mark of a stream's end may be missing when every choice has finished.
  bool lenient_end = false;
};

// Ids, times, models and finish reasons that are missing are put in; the rest stays as it came.
api::ChatResponse like_chat(const WireResponse& wire, const Memo& memo, const LikeAnswer& like);
api::CompletionResponse like_completion(const WireResponse& wire, const Memo& memo,
                                        const LikeAnswer& like);
api::EmbeddingResponse like_embeddings(const WireResponse& wire, const Memo& memo,
                                       const LikeAnswer& like);

// `data:` events of chunks, `[DONE]` at the end, an `error` member or event when it breaks. One id,
// time and model on all chunks; the role once per choice; a call's id and name once; usage in a
// chunk of its own at the end.
std::unique_ptr<ChatDecoder> like_chat_stream(const Memo& memo, const LikeAnswer& like);
std::unique_ptr<CompletionDecoder> like_completion_stream(const Memo& memo, const LikeAnswer& like);

// The same as the functions of a Provider's table.
template <const LikeAnswer& kLike>
struct LikeReaders {
  static api::ChatResponse chat(const WireResponse& wire, const Memo& memo) {
    return like_chat(wire, memo, kLike);
  }
  static std::unique_ptr<ChatDecoder> chat_stream(const Memo& memo) {
    return like_chat_stream(memo, kLike);
  }
  static api::CompletionResponse completion(const WireResponse& wire, const Memo& memo) {
    return like_completion(wire, memo, kLike);
  }
  static std::unique_ptr<CompletionDecoder> completion_stream(const Memo& memo) {
    return like_completion_stream(memo, kLike);
  }
  static api::EmbeddingResponse embeddings(const WireResponse& wire, const Memo& memo) {
    return like_embeddings(wire, memo, kLike);
  }
};

Error like_error(std::string_view provider, const WireResponse& wire);
// In a stream.
Error like_stream_error(std::string_view provider, std::string_view payload);

// Memo::notes: how many embeddings the answer must have.
inline constexpr std::string_view kInputsNote = "inputs";
inline int like_max_inputs(const catalog::ExternalModel&) { return 2048; }
// Without slashes at the end.
std::string trimmed_url(std::string_view url);

}  // namespace tessera::providers
