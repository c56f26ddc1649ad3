// The treaty between the gateway and a dialect: a request in our form to the provider's, an answer
// back, event by event where it streams, and what its errors mean. Pure: no sockets, no clock, no
// randomness. One file per dialect, in the order of the members below.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/chat.h"
#include "api/completion.h"
#include "api/embedding.h"
#include "base/error.h"
#include "catalog/served_entity.h"

namespace tessera::providers {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct WireRequest {
  std::string path;    // appended to the upstream's base, "/chat/completions"
  HeaderList headers;  // beside content-type; credentials are the gateway's business
  std::string body;
};

// One server-sent event.
struct WireEvent {
  std::string_view name;  // the field `event`; mostly empty
  std::string_view data;
};

// One per stream.
template <class Chunk>
class StreamDecoder {
 public:
  virtual ~StreamDecoder() = default;
  // Throws the Error that the event reports, or kUpstreamBadGateway when it cannot be read.
  virtual std::vector<Chunk> feed(const WireEvent& event) = 0;
  // The provider's own end of the stream has come: nothing is missing.
  virtual bool finished() const = 0;
};
using ChatDecoder = StreamDecoder<api::ChatChunk>;
using CompletionDecoder = StreamDecoder<api::CompletionResponse>;

// to_wire throws Error(kUnsupportedParameter) for what cannot be said in the dialect, from_wire
// Error(kUpstreamBadGateway) for what cannot be understood.
struct Provider {
  std::string_view name;

  struct {
    WireRequest (*to_wire)(const api::ChatRequest&, const catalog::ExternalModel&);
    api::ChatResponse (*from_wire)(std::string_view body);
    std::unique_ptr<ChatDecoder> (*stream)();
  } chat;
  struct {
    WireRequest (*to_wire)(const api::CompletionRequest&, const catalog::ExternalModel&);
    api::CompletionResponse (*from_wire)(std::string_view body);
    std::unique_ptr<CompletionDecoder> (*stream)();
  } completions;
  struct {
    WireRequest (*to_wire)(const api::EmbeddingRequest&, const catalog::ExternalModel&);
    api::EmbeddingResponse (*from_wire)(std::string_view body);
  } embeddings;

  // What a status that is not 2xx means to our client.
  Error (*from_error)(int status, std::string_view body);

  // Answers and chunks are written by our own code: what needs no change may go on as it came.
  bool writes_our_form = false;
};

// Our own workers: the openai dialect with all extensions.
const Provider& worker_provider();

// "openai"; nullptr for a name that no dialect here has.
const Provider* find_provider(std::string_view name);

}  // namespace tessera::providers
