// Other APIs' bodies on their way to a provider that speaks them itself: copied, not translated
// (external-providers 12). We change the model's name and the credentials and read the usage on the
// way back.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "catalog/served_entity.h"
#include "gateway/credentials.h"
#include "gateway/usage_meter.h"
#include "http/client.h"
#include "http/message.h"

namespace tessera::gateway {

// Which API a route speaks.
enum class Surface {
  kOurs,         // OpenAI's chat, completions and embeddings, and Databricks' invocations
  kMessages,     // Anthropic's Messages
  kCountTokens,  // …/messages/count_tokens
  kResponses,    // OpenAI's Responses
};

// The entity's provider speaks it.
bool speaks(const catalog::ServedEntity& entity, Surface surface);

struct VerbatimRequest {
  Surface surface = Surface::kMessages;
  std::string body;
  http::Headers headers;  // those of the client that go on
};

// What may go on to the provider of a client's headers; never credentials.
http::Headers forwarded_headers(const http::Headers& headers);

struct VerbatimCall {
  const VerbatimRequest& request;
  const catalog::ServedEntity& entity;
  bool stream = false;
  bool retry = true;
  std::chrono::milliseconds time_left{};
  std::size_t max_response_bytes = 0;
};

struct VerbatimAnswer {
  int status = 0;
  http::Headers headers;  // for the client
  std::string body;       // whole, unless streaming
  std::unique_ptr<http::BodyStream> stream;
  std::optional<Error> error;  // what a status that is not 2xx means; the body is the provider's
};

// Throws when there is no answer at all. The caller runs on a strand.
http::asio::awaitable<VerbatimAnswer> call_verbatim(http::Client& client, Credentials& credentials,
                                                    VerbatimCall call);

// Reads usage and finish reason out of a whole answer.
void meter_whole(Surface surface, std::string_view body, UsageMeter& meter);

// The stream as it comes, metered and settled. Throws Error when it breaks off.
std::unique_ptr<http::BodyStream> relay_verbatim(Surface surface,
                                                 std::unique_ptr<http::BodyStream> upstream,
                                                 const catalog::ServedEntity& entity,
                                                 std::shared_ptr<const void> keep,
                                                 std::unique_ptr<UsageMeter> meter,
                                                 std::chrono::milliseconds time_limit);

}  // namespace tessera::gateway
