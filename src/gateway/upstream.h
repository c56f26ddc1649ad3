// One call of one of our own workers, up to the head of its answer.
#pragma once

#include <chrono>
#include <cstdint>

#include "catalog/served_entity.h"
#include "gateway/task_request.h"
#include "http/client.h"
#include "providers/provider.h"

namespace tessera::gateway {

struct UpstreamCall {
  const TaskRequest& request;
  const catalog::ServedEntity& entity;
  std::string_view shown_model;  // what answers carry as `model`
  http::Headers headers;         // beside those of the dialect
  std::uint64_t draw = 0;        // picks the replica
  std::chrono::milliseconds time_left{};
};

// Answers with a 2xx status. Throws what a client may be told otherwise: the error that the
// upstream answered with, or kNotReady, kEngineFailure, kUpstreamBadGateway, kDeadlineExceeded. A
// replica that cannot be reached is passed over for the next one.
http::asio::awaitable<http::ClientResponse> call_upstream(http::Client& client, UpstreamCall call);

// What a client is told when an answer breaks off in the middle.
Error broken_off(const Error& error, const catalog::ServedEntity& entity);

}  // namespace tessera::gateway
