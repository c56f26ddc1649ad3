// Anthropic's Messages and OpenAI's Responses in front of models that speak neither.
#pragma once

#include <memory>
#include <string>

#include "api/stream_writer.h"
#include "gateway/task_request.h"
#include "gateway/usage_meter.h"
#include "gateway/verbatim.h"

namespace tessera::gateway {

// Throws like parse_chat_request(), and Error(kPathNotFound) for what only a provider can answer.
TaskRequest parse_other_api(Surface surface, const api::Body& body,
                            const api::ParseOptions& options);
std::string other_api_json(Surface surface, const api::ChatResponse& response,
                           const TaskRequest& request);
// Null for Surface::kOurs.
std::unique_ptr<api::ChatStreamWriter> stream_writer(Surface surface,
                                                     const api::ChatRequest& request,
                                                     UsageMeter& meter);

// --- Bodies that go on as they are ---

bool wants_stream(const api::Body& body);
// What would leave something behind at the provider that our clients share (data-plane 2.8). Throws
// Error(kUnsupportedParameter).
void check_verbatim(Surface surface, const api::Body& body);
// What the usage row knows of such a body.
void note_verbatim(UsageMeter& meter, const api::Body& body, bool stream);

}  // namespace tessera::gateway
