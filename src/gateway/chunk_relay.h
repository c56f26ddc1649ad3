// The way back for answers that are ours by meaning but not by bytes: those of external providers,
// and any that another API's client asked for.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "api/stream_writer.h"
#include "gateway/provider_call.h"
#include "gateway/relay.h"
#include "gateway/usage_meter.h"

namespace tessera::gateway {

struct ChunkRelayOptions {
  StreamUsage usage = StreamUsage::kNowhere;
  std::string model;                              // for chunks that name none
  bool legacy_functions = false;                  // ChatRequest::legacy_functions
  bool reasoning_in_content = false;              // as Databricks' own models write it
  std::chrono::milliseconds time_limit{};         // of the whole stream, since the request came
  std::unique_ptr<api::ChatStreamWriter> writer;  // of another API's events; null: OpenAI's
};

// The body of a streamed answer. `keep` (a snapshot) outlives what the stream refers to. Owns the
// meter and settles it. Usage that the provider does not tell is estimated, told and marked.
std::unique_ptr<http::BodyStream> relay_chunks(TaskStream stream, std::shared_ptr<const void> keep,
                                               std::unique_ptr<UsageMeter> meter,
                                               ChunkRelayOptions options);

// Completes a whole answer, model and usage, and meters it.
void settle(TaskResponse& response, const std::string& model, UsageMeter& meter);
// As JSON of the request's form. `served_model_name` is added when not empty.
std::string whole_json(TaskResponse response, const TaskRequest& request,
                       std::string_view served_model_name, bool reasoning_in_content);

// The endpoint option reasoning_format (external-providers 1.7, D2).
bool wants_reasoning_in_content(const catalog::ServedEntity& entity);

}  // namespace tessera::gateway
