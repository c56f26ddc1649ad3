// The treaty between the gateway and a dialect: a request in our form to the provider's, an answer
// back, event by event where it streams, and what its errors mean. Pure: no sockets, no clock, no
// randomness; what a translation needs of them is handed in by Context. One file per dialect, in
// the order of the members below.
#pragma once

#include <cstdint>
#include <map>
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

using HeaderList = std::vector<std::pair<std::string, std::string>>;  // names in lower case

// What the gateway must add so that the provider knows us. Fetching and signing are its affair.
struct Auth {
  enum class Kind { kNone, kHeader, kAwsSigV4, kEntraId, kGoogleServiceAccount };
  Kind kind = Kind::kNone;
  std::string header, value;  // kHeader: "authorization", "Bearer sk-…"
};

// How a streamed answer is cut into events.
enum class Framing { kServerSentEvents, kNdjson, kAwsEventStream, kJsonArray };

struct Context {
  const catalog::ExternalModel& model;
  std::uint64_t seed = 0;  // of ids that the provider does not give
  std::int64_t now_s = 0;  // `created` of answers that carry none
};

// What the answer's translation must know of its request; filled in by to_wire.
struct Memo {
  std::string model;  // the configured name, for answers that carry none
  std::uint64_t seed = 0;
  std::int64_t now_s = 0;
  std::map<std::string, std::string, std::less<>> tool_names;  // the provider's to the client's
  bool json_tool = false;            // structured output is asked for by a forced tool
  bool named_tool_choice = false;    // then a call ends with "stop" (data-plane 3.4)
  std::size_t input_characters = 0;  // for the estimate of usage that is not told
  std::map<std::string, std::string, std::less<>> notes;  // the dialect's own
};

struct WireRequest {
  std::string path;    // appended to the base URL, "/chat/completions"; with its query
  HeaderList headers;  // beside content-type and credentials
  std::string body;
  Framing framing = Framing::kServerSentEvents;
  // The client streams and the provider cannot: the request asks for a plain answer, which the
  // gateway presents as chunks.
  bool emulated_stream = false;
  std::vector<std::string> dropped;  // fields left out by the endpoint's wish, sorted
  Memo memo;
};

struct WireResponse {
  int status = 200;
  HeaderList headers;
  std::string body;
  std::string_view header(std::string_view name) const;  // "" when absent
};

// One event of a stream. SSE: its `event` and `data`. NDJSON and JSON arrays: data only. AWS event
// streams: the :event-type or, of an exception, the :exception-type, and the payload.
struct WireEvent {
  std::string_view name;  // mostly empty
  std::string_view data;
  bool exception = false;
};

// One per stream.
template <class Chunk>
class StreamDecoder {
 public:
  virtual ~StreamDecoder() = default;
  // Throws the Error that the event reports, or kProviderBadResponse when it cannot be read.
  virtual std::vector<Chunk> feed(const WireEvent& event) = 0;
  // The upstream has ended: what is still to say. Throws Error(kUpstreamBadGateway, code
  // "upstream_stream_truncated") when the provider's own end did not come.
  virtual std::vector<Chunk> finish();
  // The provider's own end of the stream has come: nothing is missing.
  virtual bool finished() const = 0;
};
using ChatDecoder = StreamDecoder<api::ChatChunk>;
using CompletionDecoder = StreamDecoder<api::CompletionResponse>;

// to_wire throws Error(kUnsupportedParameter | kUnsupportedValue | …) for what cannot be said in
// the dialect, from_wire Error(kProviderBadResponse) for what cannot be understood. A task that the
// provider does not have is null.
struct Provider {
  std::string_view name;  // for people and logs: "openai", "azure", "amazon-bedrock/cohere"

  std::string (*base_url)(const catalog::ExternalModel&);  // "https://api.openai.com/v1"
  Auth (*auth)(const catalog::ExternalModel&);

  struct {
    WireRequest (*to_wire)(const api::ChatRequest&, const Context&);
    api::ChatResponse (*from_wire)(const WireResponse&, const Memo&);
    std::unique_ptr<ChatDecoder> (*stream)(const Memo&);
  } chat;
  struct {
    WireRequest (*to_wire)(const api::CompletionRequest&, const Context&);
    api::CompletionResponse (*from_wire)(const WireResponse&, const Memo&);
    std::unique_ptr<CompletionDecoder> (*stream)(const Memo&);
  } completions;
  struct {
    // At most max_inputs() of the request's inputs per call; the gateway cuts and joins.
    WireRequest (*to_wire)(const api::EmbeddingRequest&, const Context&);
    api::EmbeddingResponse (*from_wire)(const WireResponse&, const Memo&);
    int (*max_inputs)(const catalog::ExternalModel&);
    // Likewise bytes of text per call, for limits in tokens; null or 0: any. One input alone goes.
    int (*max_bytes)(const catalog::ExternalModel&);
  } embeddings;

  // What a status that is not 2xx means to our client.
  Error (*from_error)(const WireResponse&);

  // Answers and chunks are written by our own code: what needs no change may go on as it came.
  bool writes_our_form = false;
};

// Our own workers: the openai dialect with all extensions.
const Provider& worker_provider();

// By model.provider and what its config says (openai_api_type, bedrock_provider, …); nullptr for a
// provider that no dialect here has.
const Provider* find_provider(const catalog::ExternalModel& model);

template <class Chunk>
std::vector<Chunk> StreamDecoder<Chunk>::finish() {
  if (finished()) return {};
  Error error(ErrorKind::kUpstreamBadGateway, "The upstream's stream ended early.");
  error.code = "upstream_stream_truncated";
  throw error;
}

}  // namespace tessera::providers
