// Our own workers: OpenAI's form with all extensions, in both directions as we write it.
#include "api/error_json.h"
#include "providers/openai.h"
#include "providers/parameters.h"

namespace tessera::providers {
namespace {

template <class Request>
WireRequest write(std::string path, const Request& request, const Context& context) {
  // Running usage lets the meter tell what was used when a client leaves in the middle.
  const api::WireOptions wire{.model = context.model.name,
                              .usage_in_stream = true,
                              .usage_in_chunks = true,
                              .end_user_fields = false};
  return {.path = std::move(path), .body = to_json(request, wire), .memo = memo_of(context)};
}

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  return write("/v1/chat/completions", request, context);
}

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  return write("/v1/completions", request, context);
}

WireRequest embeddings_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  return write("/v1/embeddings", request, context);
}

template <class Response>
Response require_choices(Response response) {
  if (!response.choices.empty()) return response;
  throw Error(ErrorKind::kUpstreamBadGateway, "The upstream's answer has no choices.");
}

api::ChatResponse chat_from_wire(const WireResponse& wire, const Memo&) {
  return require_choices(api::parse_chat_response(wire.body));
}

api::CompletionResponse completions_from_wire(const WireResponse& wire, const Memo&) {
  return require_choices(api::parse_completion_response(wire.body));
}

api::EmbeddingResponse embeddings_from_wire(const WireResponse& wire, const Memo&) {
  return api::parse_embedding_response(wire.body);
}

template <class Chunk, Chunk (*kParse)(std::string_view)>
class Decoder final : public StreamDecoder<Chunk> {
 public:
  std::vector<Chunk> feed(const WireEvent& event) override {
    std::vector<Chunk> chunks;
    if (finished_) return chunks;  // what follows the end has no meaning
    if (event.data.starts_with("[DONE]")) {
      finished_ = true;
      return chunks;
    }
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

// A worker's error is ours already.
Error from_error(const WireResponse& wire) { return api::parse_error(wire.status, wire.body); }

std::string no_base_url(const catalog::ExternalModel&) { return {}; }
Auth no_auth(const catalog::ExternalModel&) { return {}; }
int no_limit(const catalog::ExternalModel&) { return 0; }

}  // namespace

constinit const Provider kWorker = {
    .name = "worker",
    .base_url = no_base_url,
    .auth = no_auth,
    .chat = {chat_to_wire, chat_from_wire, chat_stream},
    .completions = {completions_to_wire, completions_from_wire, completions_stream},
    .embeddings = {embeddings_to_wire, embeddings_from_wire, no_limit},
    .from_error = from_error,
    .writes_our_form = true,
};

}  // namespace tessera::providers
