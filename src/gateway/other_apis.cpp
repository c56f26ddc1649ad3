#include "gateway/other_apis.h"

#include "api/messages.h"
#include "api/responses.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::gateway {
namespace {

// Ids of answers: unguessable, and traceable to the request.
std::string id_suffix(UsageMeter& meter) {
  std::string id;
  for (const char c : meter.record().request_id) {
    if (c != '-') id += c;
  }
  return id;
}

}  // namespace

TaskRequest parse_other_api(Surface surface, const api::Body& body,
                            const api::ParseOptions& options) {
  switch (surface) {
    case Surface::kMessages:
      return api::parse_messages_request(body, options);
    case Surface::kResponses:
      return api::parse_responses_request(body, options);
    case Surface::kCountTokens:
    case Surface::kOurs:
      break;
  }
  throw Error(ErrorKind::kPathNotFound,
              "The model behind this endpoint cannot count tokens before it is asked.");
}

std::string other_api_json(Surface surface, const api::ChatResponse& response,
                           const TaskRequest& request) {
  if (surface == Surface::kMessages) return api::messages_json(response);
  return api::responses_json(response, std::get<api::ChatRequest>(request));
}

std::unique_ptr<api::ChatStreamWriter> stream_writer(Surface surface,
                                                     const api::ChatRequest& request,
                                                     UsageMeter& meter) {
  if (surface == Surface::kMessages) {
    const std::int64_t estimate = (meter.record().input_characters + 1) / 4;
    return std::make_unique<api::MessagesStream>(id_suffix(meter), estimate);
  }
  if (surface == Surface::kResponses) {
    return std::make_unique<api::ResponsesStream>(request, id_suffix(meter), now_s());
  }
  return nullptr;
}

bool wants_stream(const api::Body& body) {
  const json::value* stream = find_field(body.object(), "stream");
  return stream != nullptr && stream->is_bool() && stream->get_bool();
}

void check_verbatim(Surface surface, const api::Body& body) {
  if (surface != Surface::kResponses) return;
  for (const char* field : {"background", "store", "previous_response_id", "conversation"}) {
    const json::value* value = find_field(body.object(), field);
    if (value == nullptr || (value->is_bool() && !value->get_bool())) continue;
    throw Error(ErrorKind::kUnsupportedParameter,
                "Unsupported parameter: '" + std::string(field) +
                    "' needs a memory of earlier answers, which endpoints do not have.",
                field);
  }
}

void note_verbatim(UsageMeter& meter, const api::Body& body, bool stream) {
  catalog::UsageRecord& record = meter.record();
  record.api_type = to_string(catalog::Task::kChat);
  record.streaming = stream;
  const json::value* metadata = find_field(body.object(), "metadata");
  if (metadata == nullptr || !metadata->is_object()) return;
  const json::value* user = find_field(metadata->get_object(), "user_id");
  if (user != nullptr && user->is_string()) {
    record.usage_context.emplace("user", std::string(user->get_string()));
  }
}

}  // namespace tessera::gateway
