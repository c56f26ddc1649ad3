// Tries served entities in order until one answers (data-plane 6.7).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "catalog/served_entity.h"
#include "gateway/task_request.h"
#include "gateway/usage_meter.h"
#include "http/client.h"

namespace tessera::gateway {

struct Attempt {
  const TaskRequest& request;
  std::vector<const catalog::ServedEntity*> order;  // not empty
  std::string_view fallback_model;  // shown as `model` for entities without a model_id
  http::Headers headers;
  std::uint64_t draw = 0;
  bool stream = false;
  std::chrono::milliseconds time_limit{};  // since the request came
  std::size_t max_response_bytes = 0;      // of a plain answer
};

struct Answer {
  const catalog::ServedEntity* entity = nullptr;
  http::ClientResponse response;  // with its body when streaming
  std::string body;               // the whole plain answer
};

std::string_view shown_model(const catalog::ServedEntity& entity, std::string_view fallback_model);

// Throws the last entity's Error; that of the first where another try makes no sense (F6).
http::asio::awaitable<Answer> attempt(http::Client& client, UsageMeter& meter, Attempt a);

}  // namespace tessera::gateway
