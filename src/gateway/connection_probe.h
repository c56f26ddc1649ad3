// POST /api/2.0/serving-endpoints/{name}/test: does the provider answer, with these credentials?
#pragma once

#include "gateway/gateway.h"
#include "http/message.h"

namespace tessera::gateway {

// Sends one minimal request, without retries, to each external model of the endpoint, or to the one
// that the body's `served_entity_name` names. Needs CAN_MANAGE. Answers {"results": [{name, ok,
// latency_ms, model | error}]}; a provider that fails is a result, not an error of this call.
http::asio::awaitable<http::Response> probe_connection(const Services& services,
                                                       http::Request request);

}  // namespace tessera::gateway
