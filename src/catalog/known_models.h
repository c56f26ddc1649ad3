// Models of other providers that are promised by name (external-providers 1.13): for suggestions,
// warnings and hints. Never a gate: an unlisted name is accepted and sent as typed.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/served_entity.h"

namespace tessera::catalog {

// What is commonly known of a model; shown to people, never a reason to refuse. 0: not known, or
// shared with the context (max_output).
struct ModelHints {
  int context = 0;     // tokens; of embeddings: the window
  int max_output = 0;  // tokens
  bool tools = false, images = false;
  int dimensions = 0;  // of embeddings
  bool reducible_dimensions = false;
};

struct KnownModel {
  std::string_view provider;  // "openai", "amazon-bedrock", …
  std::string_view variant;   // openai: "azure" or ""; amazon-bedrock: its bedrock_provider
  Task task;
  std::string_view name;  // as people type it into external_model.name
  ModelHints hints;
};

std::span<const KnownModel> known_models();

// "azure" for the two Azure types of provider openai, the bedrock_provider of amazon-bedrock in
// lower case, else "".
std::string model_variant(const ExternalModel& model);

// Names to suggest for a provider and task, in the order of the table.
std::vector<const KnownModel*> suggestions(std::string_view provider, std::string_view variant,
                                           Task task);
// The entry of this name; the one of the model's task where there is one. nullptr: not listed.
const KnownModel* find_known(const ExternalModel& model);

// What to tell who creates an endpoint: empty, or that the name is known under another task only.
std::string task_warning(const ExternalModel& model);

}  // namespace tessera::catalog
