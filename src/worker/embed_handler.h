// POST /v1/embeddings (data-plane 2.7).
#pragma once

#include <boost/asio/awaitable.hpp>

#include "http/message.h"
#include "worker/served_model.h"

namespace tessera {

http::asio::awaitable<http::Response> handle_embeddings(const ServedModel& model,
                                                        http::Request request);

}  // namespace tessera
