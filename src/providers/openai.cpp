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

template <class Request>
WireRequest openai_request(std::string path, const Request& request,
                           const catalog::ExternalModel& model) {
  // The usage chunk is for our meter, whoever else asked for it.
  const api::WireOptions wire{
      .model = model.name, .usage_in_stream = true, .tessera_fields = false};
  return {.path = std::move(path), .body = to_json(request, wire)};
}

WireRequest openai_chat(const api::ChatRequest& request, const catalog::ExternalModel& model) {
  refuse_extensions(request.generation);
  return openai_request("/chat/completions", request, model);
}

WireRequest openai_completions(const api::CompletionRequest& request,
                               const catalog::ExternalModel& model) {
  refuse_extensions(request.generation);
  refuse(request.error_behavior != api::ErrorBehavior::kError, "error_behavior");
  refuse(request.use_raw_prompt, "use_raw_prompt");
  return openai_request("/completions", request, model);
}

WireRequest openai_embeddings(const api::EmbeddingRequest& request,
                              const catalog::ExternalModel& model) {
  refuse(!request.instruction.empty(), "instruction");
  refuse(request.embed_dtype != api::EmbedDtype::kFloat32, "embed_dtype");
  refuse(request.big_endian, "endianness");
  refuse(request.truncate_prompt_tokens.has_value(), "truncate_prompt_tokens");
  refuse(request.normalize.has_value(), "normalize");
  refuse(!request.add_special_tokens, "add_special_tokens");
  refuse(request.priority != 0, "priority");
  return openai_request("/embeddings", request, model);
}

template <class Request>
WireRequest worker_request(std::string path, const Request& request,
                           const catalog::ExternalModel& model) {
  // Running usage lets the meter tell what was used when a client leaves in the middle.
  const api::WireOptions wire{.model = model.name,
                              .usage_in_stream = true,
                              .usage_in_chunks = true,
                              .end_user_fields = false};
  return {.path = std::move(path), .body = to_json(request, wire)};
}

WireRequest worker_chat(const api::ChatRequest& request, const catalog::ExternalModel& model) {
  return worker_request("/v1/chat/completions", request, model);
}

WireRequest worker_completions(const api::CompletionRequest& request,
                               const catalog::ExternalModel& model) {
  return worker_request("/v1/completions", request, model);
}

WireRequest worker_embeddings(const api::EmbeddingRequest& request,
                              const catalog::ExternalModel& model) {
  return worker_request("/v1/embeddings", request, model);
}

// --- From the wire ---

template <class Response>
void require_choices(const Response& response) {
  if (!response.choices.empty()) return;
  throw Error(ErrorKind::kUpstreamBadGateway, "The upstream's answer has no choices.");
}

api::ChatResponse chat_from_wire(std::string_view body) {
  api::ChatResponse response = api::parse_chat_response(body);
  require_choices(response);
  return response;
}

api::CompletionResponse completions_from_wire(std::string_view body) {
  api::CompletionResponse response = api::parse_completion_response(body);
  require_choices(response);
  return response;
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

std::unique_ptr<ChatDecoder> chat_stream() {
  return std::make_unique<Decoder<api::ChatChunk, api::parse_chat_chunk>>();
}

std::unique_ptr<CompletionDecoder> completions_stream() {
  return std::make_unique<Decoder<api::CompletionResponse, api::parse_completion_response>>();
}

// --- Errors ---

// A worker's error is ours already.
Error worker_error(int status, std::string_view body) { return api::parse_error(status, body); }

Error with(Error error, ErrorKind kind, std::string code) {
  error.kind = kind;
  error.code = std::move(code);
  return error;
}

// external-providers 1.11. A 401 is about our key, not about the client's token: it becomes a 502.
Error openai_error(int status, std::string_view body) {
  Error error = api::parse_error(status, body);
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

}  // namespace

constinit const Provider kOpenAi = {
    .name = "openai",
    .chat = {openai_chat, chat_from_wire, chat_stream},
    .completions = {openai_completions, completions_from_wire, completions_stream},
    .embeddings = {openai_embeddings, api::parse_embedding_response},
    .from_error = openai_error,
};

constinit const Provider kWorker = {
    .name = "worker",
    .chat = {worker_chat, chat_from_wire, chat_stream},
    .completions = {worker_completions, completions_from_wire, completions_stream},
    .embeddings = {worker_embeddings, api::parse_embedding_response},
    .from_error = worker_error,
    .writes_our_form = true,
};

}  // namespace tessera::providers
