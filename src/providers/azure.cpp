// https://learn.microsoft.com/azure/ai-services/openai/reference (URLs, versions, content filter)
// https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
#include <cctype>

#include "base/strings.h"
#include "providers/openai.h"
#include "providers/openai_like.h"

namespace tessera::providers {
namespace {

constexpr LikeAnswer kAnswer{.provider = "openai"};

// The first versions that know these; dates compare as texts.
constexpr std::string_view kStreamOptionsSince = "2024-09-01-preview";
constexpr std::string_view kCompletionLimitSince = "2024-09-01-preview";

// --- Where and as whom ---

// The newer surface is addressed like OpenAI itself, the deployment being the model.
bool is_v1(std::string_view base) { return base.ends_with("/openai/v1"); }

std::string base_url(const catalog::ExternalModel& model) {
  std::string base = trimmed_url(model.option("openai_api_base"));
  if (base.ends_with("/openai")) base.resize(base.size() - std::string_view("/openai").size());
  return trimmed_url(base);
}

Auth auth(const catalog::ExternalModel& model) {
  if (!iequals(model.option("openai_api_type"), "azuread")) {
    return {Auth::Kind::kHeader, "api-key", std::string(model.secret("openai_api_key"))};
  }
  // Without the fields of an application the key is a token that somebody else has fetched.
  if (!model.option("microsoft_entra_tenant_id").empty()) return {.kind = Auth::Kind::kEntraId};
  return {Auth::Kind::kHeader, "authorization",
          "Bearer " + std::string(model.secret("openai_api_key"))};
}

// --- To the wire ---

LikeRequest like_at(const Context& context, std::string_view operation, const Dialect& fields) {
  const catalog::ExternalModel& model = context.model;
  const std::string_view deployment = model.option("openai_deployment_name");
  if (is_v1(base_url(model))) {
    return {.path = std::string(operation),
            .dialect = fields,
            .model = deployment,
            .developer_role = true,
            .reasoning_history = false,
            .base64 = true};
  }
  const std::string_view version = model.option("openai_api_version");
  return {.path = "/openai/deployments/" + url_encode(deployment) + std::string(operation) +
                  "?api-version=" + url_encode(version),
          .dialect = fields,
          .with_model = false,
          .developer_role = true,
          .reasoning_history = false,
          .stream_options = version >= kStreamOptionsSince,
          .base64 = true,
          .completion_limit = version >= kCompletionLimitSince};
}

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  const std::string_view model = context.model.name;
  const bool reasoning = is_reasoning_model(model);
  LikeRequest like =
      like_at(context, "/chat/completions", reasoning ? kReasoningFields : kOpenAiFields);
  like.usual_temperature = !reasoning;
  if (has_no_system_role(model) && context.model.option("fix_messages") == "true") {
    return to_like(without_system(request), context, like);
  }
  return to_like(request, context, like);
}

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  return to_like(request, context, like_at(context, "/completions", kOpenAiFields));
}

WireRequest embeddings_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  return to_like(request, context, like_at(context, "/embeddings", kOpenAiFields));
}

// --- From the wire ---

using Read = LikeReaders<kAnswer>;

// "… Please retry after 6 seconds.": told in words where the header is missing.
std::optional<int> seconds_in_words(std::string_view message) {
  constexpr std::string_view kWords = "retry after ";
  const std::size_t at = message.find(kWords);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view number = message.substr(at + kWords.size());
  std::size_t digits = 0;
  while (digits < number.size() && std::isdigit(static_cast<unsigned char>(number[digits]))) {
    ++digits;
  }
  const auto seconds = parse_int(number.substr(0, digits));
  if (!seconds || *seconds > 86'400) return std::nullopt;
  return static_cast<int>(*seconds);
}

Error from_error(const WireResponse& wire) {
  Error error = like_error("openai", wire);
  if (wire.status == 429 && !error.retry_after_ms) {
    if (const auto seconds = seconds_in_words(error.message)) {
      error.retry_after_s = *seconds;
      error.retry_after_ms = 1000 * std::int64_t{*seconds};
    }
  }
  return error;
}

}  // namespace

constinit const Provider kAzure = {
    .name = "azure",
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, Read::chat, Read::chat_stream},
    .completions = {completions_to_wire, Read::completion, Read::completion_stream},
    .embeddings = {embeddings_to_wire, Read::embeddings, like_max_inputs},
    .from_error = from_error,
};

}  // namespace tessera::providers
