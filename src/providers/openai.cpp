// https://platform.openai.com/docs/api-reference (chat, completions, embeddings, streaming)
// https://platform.openai.com/docs/guides/error-codes
#include "providers/openai.h"

#include "api/error_json.h"

namespace tessera::providers {
namespace {

constexpr std::string_view kDone = "[DONE]";

// --- To the wire ---

void refuse(bool used, const char* field) {
  if (!used) return;
  throw Error(ErrorKind::kUnsupportedParameter,
              "Unsupported parameter: '" + std::string(field) +
                  "' is not supported by the provider 'openai'.",
              field);
}

// Extensions that our workers know and OpenAI does not: leaving them out would change the result.
void refuse_extensions(const api::GenerationFields& fields) {
  const api::GenerationFields initial;
  refuse(fields.top_k.value_or(0) != 0, "top_k");
  refuse(fields.min_p != initial.min_p, "min_p");
  refuse(fields.repetition_penalty != initial.repetition_penalty, "repetition_penalty");
  refuse(fields.min_tokens != 0, "min_tokens");
  refuse(!fields.stop_token_ids.empty(), "stop_token_ids");
  refuse(fields.ignore_eos, "ignore_eos");
  refuse(fields.include_stop_str_in_output, "include_stop_str_in_output");
  refuse(!fields.skip_special_tokens, "skip_special_tokens");
  refuse(!fields.spaces_between_special_tokens, "spaces_between_special_tokens");
  refuse(!fields.bad_words.empty(), "bad_words");
  refuse(!fields.allowed_token_ids.empty(), "allowed_token_ids");
  refuse(fields.add_special_tokens.has_value(), "add_special_tokens");
  refuse(fields.prompt_logprobs.has_value(), "prompt_logprobs");
  refuse(fields.truncate_prompt_tokens.has_value(), "truncate_prompt_tokens");
  refuse(fields.return_token_ids, "return_token_ids");
  refuse(fields.return_tokens_as_token_ids, "return_tokens_as_token_ids");
  refuse(fields.priority != 0, "priority");
  refuse(fields.continuous_usage_stats, "stream_options.continuous_usage_stats");
}

Memo memo_of(const Context& context) {
  return {.model = context.model.name, .seed = context.seed, .now_s = context.now_s};
}

template <class Request>
WireRequest openai_request(std::string path, const Request& request, const Context& context) {
  // The usage chunk is for our meter, whoever else asked for it.
  const api::WireOptions wire{
      .model = context.model.name, .usage_in_stream = true, .tessera_fields = false};
  return {.path = std::move(path), .body = to_json(request, wire), .memo = memo_of(context)};
}

WireRequest openai_chat(const api::ChatRequest& request, const Context& context) {
  refuse_extensions(request.generation);
  return openai_request("/chat/completions", request, context);
}

WireRequest openai_completions(const api::CompletionRequest& request, const Context& context) {
  refuse_extensions(request.generation);
  refuse(request.error_behavior != api::ErrorBehavior::kError, "error_behavior");
  refuse(request.use_raw_prompt, "use_raw_prompt");
  return openai_request("/completions", request, context);
}

WireRequest openai_embeddings(const api::EmbeddingRequest& request, const Context& context) {
  refuse(!request.instruction.empty(), "instruction");
  refuse(request.embed_dtype != api::EmbedDtype::kFloat32, "embed_dtype");
  refuse(request.big_endian, "endianness");
  refuse(request.truncate_prompt_tokens.has_value(), "truncate_prompt_tokens");
  refuse(request.normalize.has_value(), "normalize");
  refuse(!request.add_special_tokens, "add_special_tokens");
  refuse(request.priority != 0, "priority");
  return openai_request("/embeddings", request, context);
}

template <class Request>
WireRequest worker_request(std::string path, const Request& request, const Context& context) {
  // Running usage lets the meter tell what was used when a client leaves in the middle.
  const api::WireOptions wire{.model = context.model.name,
                              .usage_in_stream = true,
                              .usage_in_chunks = true,
                              .end_user_fields = false};
  return {.path = std::move(path), .body = to_json(request, wire), .memo = memo_of(context)};
}

WireRequest worker_chat(const api::ChatRequest& request, const Context& context) {
  return worker_request("/v1/chat/completions", request, context);
}

WireRequest worker_completions(const api::CompletionRequest& request, const Context& context) {
  return worker_request("/v1/completions", request, context);
}

WireRequest worker_embeddings(const api::EmbeddingRequest& request, const Context& context) {
  return worker_request("/v1/embeddings", request, context);
}

// --- From the wire ---

template <class Response>
void require_choices(const Response& response) {
  if (!response.choices.empty()) return;
  throw Error(ErrorKind::kUpstreamBadGateway, "The upstream's answer has no choices.");
}

api::ChatResponse chat_from_wire(const WireResponse& wire, const Memo&) {
  api::ChatResponse response = api::parse_chat_response(wire.body);
  require_choices(response);
  return response;
}

api::CompletionResponse completions_from_wire(const WireResponse& wire, const Memo&) {
  api::CompletionResponse response = api::parse_completion_response(wire.body);
  require_choices(response);
  return response;
}

api::EmbeddingResponse embeddings_from_wire(const WireResponse& wire, const Memo&) {
  return api::parse_embedding_response(wire.body);
}

// --- Streams: `data:` events of chunks, `[DONE]` at the end, an `error` member when it breaks ---

template <class Chunk, Chunk (*kParse)(std::string_view)>
class Decoder final : public StreamDecoder<Chunk> {
 public:
  std::vector<Chunk> feed(const WireEvent& event) override {
    std::vector<Chunk> chunks;
    if (finished_) return chunks;  // what follows the end has no meaning
    if (event.data.starts_with(kDone)) {
      finished_ = true;
      return chunks;
    }
    if (event.name == "error") throw api::parse_error(0, event.data);
    if (std::optional<Error> error = api::parse_stream_error(event.data)) throw std::move(*error);
    chunks.push_back(kParse(event.data));
    return chunks;
  }

  bool finished() const override { return finished_; }

 private:
  bool finished_ = false;
};

std::unique_ptr<ChatDecoder> chat_stream(const Memo&) {
  return std::make_unique<Decoder<api::ChatChunk, api::parse_chat_chunk>>();
}

std::unique_ptr<CompletionDecoder> completions_stream(const Memo&) {
  return std::make_unique<Decoder<api::CompletionResponse, api::parse_completion_response>>();
}

// --- Errors ---

// A worker's error is ours already.
Error worker_error(const WireResponse& wire) { return api::parse_error(wire.status, wire.body); }

Error with(Error error, ErrorKind kind, std::string code) {
  error.kind = kind;
  error.code = std::move(code);
  return error;
}

// external-providers 1.11. A 401 is about our key, not about the client's token: it becomes a 502.
Error openai_error(const WireResponse& wire) {
  const int status = wire.status;
  Error error = api::parse_error(status, wire.body);
  const std::string code = error.code;
  switch (status) {
    case 401:
    case 403:
      return with(std::move(error), ErrorKind::kUpstreamBadGateway,
                  "provider_authentication_failed");
    case 402:
      return with(std::move(error), ErrorKind::kRateLimited, "insufficient_quota");
    case 404:
      return with(std::move(error), ErrorKind::kEndpointNotFound, "model_not_found");
    case 408:
    case 504:
      return with(std::move(error), ErrorKind::kDeadlineExceeded, "provider_timeout");
    case 413:
      return error;
    case 429:
      return with(std::move(error), ErrorKind::kRateLimited,
                  code == "insufficient_quota" ? code : "rate_limit_exceeded");
    case 503:
    case 529:
      return with(std::move(error), ErrorKind::kNotReady, "provider_overloaded");
    default:
      break;
  }
  if (status >= 500 || status == 424) {
    return with(std::move(error), ErrorKind::kUpstreamBadGateway, "provider_error");
  }
  // The rest is about the request; a code that we know as well has given the error its kind.
  if (http_status(error.kind) != 400) error.kind = ErrorKind::kBadValue;
  if (error.kind == ErrorKind::kBadValue && code.empty()) error.code = "invalid_request";
  return error;
}

// --- Where and as whom ---

std::string openai_base_url(const catalog::ExternalModel& model) {
  const std::string_view base = model.option("openai_api_base");
  return base.empty() ? "https://api.openai.com/v1" : std::string(base);
}

Auth openai_auth(const catalog::ExternalModel& model) {
  return {Auth::Kind::kHeader, "authorization",
          "Bearer " + std::string(model.secret("openai_api_key"))};
}

std::string no_base_url(const catalog::ExternalModel&) { return {}; }
Auth no_auth(const catalog::ExternalModel&) { return {}; }
int no_limit(const catalog::ExternalModel&) { return 0; }

}  // namespace

constinit const Provider kOpenAi = {
    .name = "openai",
    .base_url = openai_base_url,
    .auth = openai_auth,
    .chat = {openai_chat, chat_from_wire, chat_stream},
    .completions = {openai_completions, completions_from_wire, completions_stream},
    .embeddings = {openai_embeddings, embeddings_from_wire, no_limit},
    .from_error = openai_error,
};

constinit const Provider kWorker = {
    .name = "worker",
    .base_url = no_base_url,
    .auth = no_auth,
    .chat = {worker_chat, chat_from_wire, chat_stream},
    .completions = {worker_completions, completions_from_wire, completions_stream},
    .embeddings = {worker_embeddings, embeddings_from_wire, no_limit},
    .from_error = worker_error,
    .writes_our_form = true,
};

}  // namespace tessera::providers
