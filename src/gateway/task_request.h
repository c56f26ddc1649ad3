// A validated request of whichever task, so that the path of a request is written once.
#pragma once

#include <variant>

#include "api/chat.h"
#include "api/completion.h"
#include "api/embedding.h"
#include "catalog/endpoint.h"
#include "providers/provider.h"

namespace tessera::gateway {

using TaskRequest = std::variant<api::ChatRequest, api::CompletionRequest, api::EmbeddingRequest>;
using TaskResponse =
    std::variant<api::ChatResponse, api::CompletionResponse, api::EmbeddingResponse>;

// What the endpoint's profile and limits mean for the parser; external models have their own.
// `native`: data-plane 2.5, suffix.
api::ParseOptions parse_options(const catalog::Endpoint& endpoint, bool native);

TaskRequest parse_task(catalog::Task task, const api::Body& body, const api::ParseOptions& options);

const api::CommonFields& common_fields(const TaskRequest& request);
// Null for embeddings, which do not generate.
const api::GenerationFields* generation_fields(const TaskRequest& request);
std::size_t input_characters(const TaskRequest& request);

// Throws Error(kWrongTask) when the provider does not have the task.
providers::WireRequest to_wire(const TaskRequest& request, const providers::Provider& provider,
                               const providers::Context& context);

}  // namespace tessera::gateway
