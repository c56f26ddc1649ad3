// Any server that speaks OpenAI's form, more or less: much is forgiven in its answers.
#include <algorithm>

#include "base/strings.h"
#include "providers/openai.h"
#include "providers/openai_like.h"

namespace tessera::providers {
namespace {

constexpr LikeAnswer kAnswer{.provider = "custom", .corrects_finish = true, .lenient_end = true};

// --- Where and as whom ---

// custom_provider_url in pieces: "https://host", "/v1/chat/completions", "?version=1".
struct Url {
  std::string origin, path, query;
};

Url url_of(const catalog::ExternalModel& model) {
  const std::string_view url = model.option("custom_provider_url");
  const std::size_t scheme = url.find("://");
  const std::size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t query = std::min(url.find('?'), url.size());
  const std::size_t path = std::min(url.find('/', host), query);
  return {std::string(url.substr(0, path)), trimmed_url(url.substr(path, query - path)),
          std::string(url.substr(query))};
}

// A URL that ends in a task's path is that of the requests, another one that of the API.
std::string path_for(const catalog::ExternalModel& model, std::string_view operation) {
  const Url url = url_of(model);
  const bool whole = url.path.ends_with("/completions") || url.path.ends_with("/embeddings");
  return url.path + std::string(whole ? std::string_view() : operation) + url.query;
}

std::string base_url(const catalog::ExternalModel& model) { return url_of(model).origin; }

Auth auth(const catalog::ExternalModel& model) {
  const std::string_view token = model.secret("bearer_token_auth.token");
  if (!token.empty()) {
    return {Auth::Kind::kHeader, "authorization", "Bearer " + std::string(token)};
  }
  const std::string_view header = model.option("api_key_auth.key");
  if (header.empty()) return {};
  return {Auth::Kind::kHeader, to_lower(header), std::string(model.secret("api_key_auth.value"))};
}

// --- To the wire ---

LikeRequest like_at(const Context& context, std::string_view operation) {
  return {.path = path_for(context.model, operation),
          .dialect = kCustomFields,
          .ask_usage = context.model.option("custom_supports_stream_options") == "true"};
}

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  return to_like(request, context, like_at(context, "/chat/completions"));
}

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  return to_like(request, context, like_at(context, "/completions"));
}

WireRequest embeddings_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  return to_like(request, context, like_at(context, "/embeddings"));
}

// --- From the wire ---

using Read = LikeReaders<kAnswer>;

Error from_error(const WireResponse& wire) { return like_error("custom", wire); }

}  // namespace

constinit const Provider kCustom = {
    .name = "custom",
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, Read::chat, Read::chat_stream},
    .completions = {completions_to_wire, Read::completion, Read::completion_stream},
    .embeddings = {embeddings_to_wire, Read::embeddings, like_max_inputs},
    .from_error = from_error,
};

}  // namespace tessera::providers
