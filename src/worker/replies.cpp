#include "worker/replies.h"

#include <algorithm>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera {

ReplyIdentity reply_identity(std::string_view prefix, const std::string& request_id,
                             const std::string& requested_model, const std::string& served_name) {
  ReplyIdentity identity;
  identity.id = prefix;
  identity.id += request_id.empty() ? hex_encode(random_bytes(16)) : request_id;
  identity.created = now_s();
  identity.model = requested_model.empty() ? served_name : requested_model;
  return identity;
}

api::FinishReason to_api(FinishReason reason) {
  return reason == FinishReason::kStop ? api::FinishReason::kStop : api::FinishReason::kLength;
}

bool wants_timings(const http::Request& request) {
  const auto value = request.headers.get("x-tessera-timings");
  return value && iequals(*value, "true");
}

std::optional<std::chrono::steady_clock::time_point> deadline_of(const http::Request& request) {
  const auto value = request.headers.get("x-tessera-deadline-ms");
  if (!value) return std::nullopt;
  const auto ms = parse_int(*value);
  if (!ms || *ms < 0 || *ms > 86'400'000) {
    throw Error(ErrorKind::kBadValue, "header x-tessera-deadline-ms is " +
                                          quote_for_message(*value) +
                                          ", but must be milliseconds from 0 to 86400000");
  }
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(*ms);
}

http::Response stream_response(std::unique_ptr<http::BodyStream> body, const ServedModel& model) {
  http::Response response;
  response.headers.set("content-type", "text/event-stream");
  response.headers.set("cache-control", "no-cache");
  response.headers.set("x-accel-buffering", "no");
  response.stream = std::move(body);
  if (model.sends_pings) {
    response.keep_alive = ": ping\n\n";
    response.keep_alive_interval = std::chrono::seconds(15);
  }
  return response;
}

void add_ignored_fields(http::Response& response, const std::vector<std::string>& fields) {
  if (!fields.empty()) response.headers.set("x-tessera-ignored-fields", join(fields, ", "));
}

}  // namespace tessera
