#include "gateway/task_request.h"

#include "base/strings.h"

namespace tessera::gateway {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::size_t characters(const std::vector<api::TextOrTokens>& items) {
  std::size_t count = 0;
  for (const api::TextOrTokens& item : items) count += utf8_length(item.text);
  return count;
}

template <class Direction, class Request>
providers::WireRequest write(const Direction& direction, const Request& request,
                             const providers::Provider& provider,
                             const providers::Context& context) {
  if (direction.to_wire != nullptr) return direction.to_wire(request, context);
  throw Error(ErrorKind::kWrongTask, "The provider '" + std::string(provider.name) +
                                         "' has no models for requests of this task.");
}

bool is_external(const catalog::Endpoint& endpoint) {
  return endpoint.active && !endpoint.active->entities.empty() &&
         endpoint.active->entities.front().kind == catalog::EntityKind::kExternalModel;
}

}  // namespace

api::ParseOptions parse_options(const catalog::Endpoint& endpoint, bool native) {
  // The provider's limits are its own affair (data-plane 2.16).
  if (is_external(endpoint)) return api::ParseOptions::for_profile(api::Profile::kExternal);
  const bool open = endpoint.settings.api_profile == catalog::ApiProfile::kOpen;
  api::ParseOptions options =
      api::ParseOptions::for_profile(open ? api::Profile::kOpen : api::Profile::kDatabricks);
  const catalog::Limits limits = endpoint.limits();
  options.max_n = limits.max_n;
  options.max_stop = limits.max_stop_entries;
  options.max_prompts = limits.max_completion_prompts;
  options.max_inputs = limits.max_embedding_inputs;
  options.one_system_message_first = !limits.system_message_anywhere;
  options.last_message_from_user = limits.final_message_must_be_user;
  options.max_output_tokens = static_cast<int>(limits.max_output_tokens);
  options.allow_suffix = native;
  return options;
}

TaskRequest parse_task(catalog::Task task, const api::Body& body,
                       const api::ParseOptions& options) {
  switch (task) {
    case catalog::Task::kChat:
      return api::parse_chat_request(body, options);
    case catalog::Task::kCompletions:
      return api::parse_completion_request(body, options);
    case catalog::Task::kEmbeddings:
      break;
  }
  return api::parse_embedding_request(body, options);
}

const api::CommonFields& common_fields(const TaskRequest& request) {
  return std::visit([](const auto& r) -> const api::CommonFields& { return r.common; }, request);
}

const api::GenerationFields* generation_fields(const TaskRequest& request) {
  return std::visit(
      Overloaded{
          [](const api::EmbeddingRequest&) -> const api::GenerationFields* { return nullptr; },
          [](const auto& r) -> const api::GenerationFields* { return &r.generation; }},
      request);
}

std::size_t input_characters(const TaskRequest& request) {
  return std::visit(
      Overloaded{[](const api::ChatRequest& r) {
                   std::size_t count = 0;
                   for (const api::ChatMessage& message : r.messages) {
                     if (message.content) count += utf8_length(*message.content);
                   }
                   return count;
                 },
                 [](const api::CompletionRequest& r) { return characters(r.prompts); },
                 [](const api::EmbeddingRequest& r) { return characters(r.inputs); }},
      request);
}

providers::WireRequest to_wire(const TaskRequest& request, const providers::Provider& provider,
                               const providers::Context& context) {
  return std::visit(Overloaded{[&](const api::ChatRequest& r) {
                                 return write(provider.chat, r, provider, context);
                               },
                               [&](const api::CompletionRequest& r) {
                                 return write(provider.completions, r, provider, context);
                               },
                               [&](const api::EmbeddingRequest& r) {
                                 return write(provider.embeddings, r, provider, context);
                               }},
                    request);
}

}  // namespace tessera::gateway
