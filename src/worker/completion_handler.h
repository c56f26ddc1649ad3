// POST /v1/completions (data-plane 2.5, 2.6).
#pragma once

#include <boost/asio/awaitable.hpp>

#include "http/message.h"
#include "worker/served_model.h"

namespace tessera {

// `model` outlives the answer, stream included.
http::asio::awaitable<http::Response> handle_completion(const ServedModel& model,
                                                        http::Request request);

}  // namespace tessera
