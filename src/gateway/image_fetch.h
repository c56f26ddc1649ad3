// Pictures that a request names by URL, fetched for providers that do not fetch them
// (image_url_policy "inline"; external-providers 1.5).
#pragma once

#include "api/chat.h"
#include "catalog/served_entity.h"
#include "gateway/task_request.h"
#include "http/client.h"

namespace tessera::gateway {

bool wants_images_inlined(const catalog::ExternalModel& model, const api::ChatRequest& request);

// The request with data: URIs in their place. Only addresses that guarded requests may reach, three
// redirects among those, 20 MB and 10 s each. Throws Error(kUnsupportedContent) naming the part.
http::asio::awaitable<TaskRequest> inline_images(http::Client& client, api::ChatRequest request);

}  // namespace tessera::gateway
