// One query from its head to the answer, in the order of data-plane 0.4.
#pragma once

#include <optional>

#include "catalog/served_entity.h"
#include "gateway/gateway.h"
#include "gateway/verbatim.h"
#include "http/message.h"

namespace tessera::gateway {

struct QueryRoute {
  bool native = false;                // Databricks' routes; else OpenAI's
  std::optional<catalog::Task> task;  // of the body; none: the endpoint's own
  Surface surface = Surface::kOurs;   // whose bodies these are; others' are chats
};

// Errors become the answer here, so that they carry the headers that are known by then
// (served-model-name); what a stream throws later is presented by the session.
http::asio::awaitable<http::Response> invoke(const Services& services, http::Request request,
                                             QueryRoute route);

}  // namespace tessera::gateway
