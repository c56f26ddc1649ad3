// POST /v1/chat/completions (data-plane 2.2–2.4, 2.9).
#pragma once

#include <boost/asio/awaitable.hpp>

#include "http/message.h"
#include "worker/served_model.h"

namespace tessera {

// `model` outlives the answer, stream included.
http::asio::awaitable<http::Response> handle_chat(const ServedModel& model, http::Request request);

}  // namespace tessera
