// What the answers of all generating routes have in common.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "api/fields.h"
#include "engine/engine.h"
#include "http/message.h"
#include "worker/served_model.h"

namespace tessera {

struct ReplyIdentity {
  std::string id;
  std::int64_t created = 0;
  std::string model;
};

// prefix: "chatcmpl-", "cmpl-", "embd-".
ReplyIdentity reply_identity(std::string_view prefix, const std::string& request_id,
                             const std::string& requested_model, const std::string& served_name);

api::FinishReason to_api(FinishReason reason);

bool wants_timings(const http::Request& request);
// x-tessera-deadline-ms, counted from now; throws Error(kBadValue).
std::optional<std::chrono::steady_clock::time_point> deadline_of(const http::Request& request);

// 200 with the headers of data-plane 2.9.
http::Response stream_response(std::unique_ptr<http::BodyStream> body, const ServedModel& model);
// Names of fields that were ignored, as x-tessera-ignored-fields.
void add_ignored_fields(http::Response& response, const std::vector<std::string>& fields);

}  // namespace tessera
