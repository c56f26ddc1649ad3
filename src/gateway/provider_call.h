// One request to an external provider: translated, authorised, repeated while that makes sense, and
// answered in our own terms.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <variant>

#include "catalog/served_entity.h"
#include "gateway/chunk_source.h"
#include "gateway/credentials.h"
#include "gateway/task_request.h"
#include "http/client.h"

namespace tessera::gateway {

// Chunks still to come, of the task's kind.
using TaskStream = std::variant<std::monostate, std::unique_ptr<ChunkSource<api::ChatChunk>>,
                                std::unique_ptr<ChunkSource<api::CompletionResponse>>>;

struct ProviderCall {
  const TaskRequest& request;
  const catalog::ServedEntity& entity;  // an external model
  bool stream = false;
  bool retry = true;  // false: another entity is next, sooner than a second try here
  std::uint64_t seed = 0;
  std::chrono::milliseconds time_left{};
  std::size_t max_response_bytes = 0;  // of a plain answer
};

struct ProviderAnswer {
  http::Headers headers;  // for the client: what was dropped, the provider's request id
  TaskResponse whole;     // unless streaming
  TaskStream stream;      // its first chunks are there
};

// The dialect of an external model; throws Error(kNotImplemented) for a provider that has none.
const providers::Provider& dialect_of(const catalog::ExternalModel& model);

// Throws the Error that the client may be told, with what is known of the provider's failure. The
// caller runs on a strand.
http::asio::awaitable<ProviderAnswer> call_provider(http::Client& client, Credentials& credentials,
                                                    ProviderCall call);

// --- For the routes that pass bodies through as they are ---

// One exchange without retries: `path` with its query, after the provider's base URL. Whatever the
// status; credentials that have expired are renewed once.
struct RawCall {
  const catalog::ExternalModel& model;
  const std::string& label;
  std::string path;
  providers::HeaderList headers;
  std::string body;
  bool stream = false;
  std::chrono::milliseconds time_left{};
};
http::asio::awaitable<http::ClientResponse> call_raw(http::Client& client, Credentials& credentials,
                                                     RawCall call);

// How long one plain answer of the model may take (request_timeout_s), when the endpoint says so.
std::optional<std::chrono::milliseconds> request_timeout(const catalog::ExternalModel& model);

// The provider's own id of an answer, under whichever name it comes.
std::string provider_request_id(const http::Headers& headers);

// Completes an Error: names the provider, and hides the endpoint's secrets wherever they appear.
Error explained(Error error, const catalog::ExternalModel& model);

}  // namespace tessera::gateway
