// https://docs.anthropic.com/en/api/overview
// https://docs.anthropic.com/en/api/errors
#include "providers/anthropic.h"

#include "providers/failure.h"

namespace tessera::providers {
namespace {

constexpr ClaudeHost kHost = ClaudeHost::kAnthropic;

std::string base_url(const catalog::ExternalModel& model) {
  const std::string_view chosen = model.option("base_url_override");
  return chosen.empty() ? "https://api.anthropic.com" : std::string(chosen);
}

Auth auth(const catalog::ExternalModel& model) {
  return {Auth::Kind::kHeader, "x-api-key", std::string(model.secret("anthropic_api_key"))};
}

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  WireRequest wire = claude_chat_to_wire(request, context, kHost);
  wire.path = "/v1/messages";
  return wire;
}

api::ChatResponse chat_from_wire(const WireResponse& wire, const Memo& memo) {
  return claude_chat_from_wire(wire, memo, kHost);
}

std::unique_ptr<ChatDecoder> chat_stream(const Memo& memo) {
  return claude_chat_stream(memo, kHost);
}

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  WireRequest wire = claude_completion_to_wire(request, context, kHost);
  wire.path = "/v1/complete";
  return wire;
}

api::CompletionResponse completions_from_wire(const WireResponse& wire, const Memo& memo) {
  return claude_completion_from_wire(wire, memo, kHost);
}

std::unique_ptr<CompletionDecoder> completions_stream(const Memo& memo) {
  return claude_completion_stream(memo, kHost);
}

Error from_error(const WireResponse& wire) {
  const FailureBody body = read_failure_body(wire.body);
  Failure failure{.provider = "anthropic", .code = body.type, .message = body.message};
  // Told as a 400 like any other invalid request.
  if (body.message.find("credit balance is too low") != std::string::npos) {
    failure.kind = ErrorKind::kProviderQuotaExhausted;
  }
  return to_error(failure, wire);
}

}  // namespace

constinit const Provider kAnthropic = {
    .name = "anthropic",
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, chat_from_wire, chat_stream},
    .completions = {completions_to_wire, completions_from_wire, completions_stream},
    .embeddings = {},
    .from_error = from_error,
};

}  // namespace tessera::providers
