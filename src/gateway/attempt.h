// Tries served entities in order until one answers (data-plane 6.7).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "catalog/served_entity.h"
#include "gateway/provider_call.h"
#include "gateway/task_request.h"
#include "gateway/usage_meter.h"
#include "gateway/verbatim.h"
#include "http/client.h"

namespace tessera::gateway {

struct Attempt {
  // The request in our terms; for a body of another API it is made when an entity needs it.
  std::function<const TaskRequest&()> request;
  const VerbatimRequest* verbatim = nullptr;  // the body as it came, for entities that speak it
  std::vector<const catalog::ServedEntity*> order;  // not empty
  std::string_view fallback_model;  // shown as `model` for entities without a model_id
  http::Headers headers;            // to our own workers
  std::uint64_t draw = 0;
  bool stream = false;
  bool in_our_terms = false;               // workers' answers too, for another API's form
  std::chrono::milliseconds time_limit{};  // since the request came
  std::size_t max_response_bytes = 0;      // of a plain answer
};

struct Answer {
  const catalog::ServedEntity* entity = nullptr;
  // Of a worker, as it came:
  http::ClientResponse response;  // with its body when streaming
  std::string body;               // the whole plain answer
  // Or in our terms, or in the provider's own:
  std::optional<ProviderAnswer> translated;
  std::optional<VerbatimAnswer> verbatim;
};

std::string_view shown_model(const catalog::ServedEntity& entity, std::string_view fallback_model);

// Throws the last entity's Error; that of the first where another try makes no sense (F6). The
// caller runs on a strand.
http::asio::awaitable<Answer> attempt(http::Client& client, Credentials& credentials,
                                      UsageMeter& meter, Attempt a);

}  // namespace tessera::gateway
