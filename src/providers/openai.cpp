// https://platform.openai.com/docs/api-reference (chat, completions, embeddings, streaming)
// https://platform.openai.com/docs/guides/error-codes
#include "providers/openai.h"

#include "providers/openai_like.h"

namespace tessera::providers {
namespace {

constexpr LikeAnswer kAnswer{.provider = "openai"};

// --- To the wire ---

HeaderList organization(const Context& context) {
  HeaderList headers;
  const std::string_view name = context.model.option("openai_organization");
  if (!name.empty()) headers.emplace_back("openai-organization", name);
  return headers;
}

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  const std::string_view model = context.model.name;
  const bool reasoning = is_reasoning_model(model);
  const LikeRequest like{.path = "/chat/completions",
                         .dialect = reasoning ? kReasoningFields : kOpenAiFields,
                         .developer_role = true,
                         .reasoning_history = false,
                         .usual_temperature = !reasoning};
  WireRequest wire;
  if (has_no_system_role(model) && context.model.option("fix_messages") == "true") {
    wire = to_like(without_system(request), context, like);
  } else {
    wire = to_like(request, context, like);
  }
  wire.headers = organization(context);
  return wire;
}

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  WireRequest wire = to_like(request, context, {.path = "/completions", .dialect = kOpenAiFields});
  wire.headers = organization(context);
  return wire;
}

WireRequest embeddings_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  WireRequest wire =
      to_like(request, context, {.path = "/embeddings", .dialect = kOpenAiFields, .base64 = true});
  wire.headers = organization(context);
  return wire;
}

// --- From the wire ---

using Read = LikeReaders<kAnswer>;

Error from_error(const WireResponse& wire) { return like_error("openai", wire); }

// --- Where and as whom ---

std::string base_url(const catalog::ExternalModel& model) {
  const std::string_view base = model.option("openai_api_base");
  return base.empty() ? "https://api.openai.com/v1" : trimmed_url(base);
}

Auth auth(const catalog::ExternalModel& model) {
  return {Auth::Kind::kHeader, "authorization",
          "Bearer " + std::string(model.secret("openai_api_key"))};
}

}  // namespace

constinit const Provider kOpenAi = {
    .name = "openai",
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, Read::chat, Read::chat_stream},
    .completions = {completions_to_wire, Read::completion, Read::completion_stream},
    .embeddings = {embeddings_to_wire, Read::embeddings, like_max_inputs},
    .from_error = from_error,
};

}  // namespace tessera::providers
