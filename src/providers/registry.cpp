#include "providers/cohere.h"
#include "providers/openai.h"
#include "providers/provider.h"

namespace tessera::providers {

const Provider& worker_provider() { return kWorker; }

const Provider* find_provider(const catalog::ExternalModel& model) {
  if (model.provider == "cohere") return &kCohere;
  if (model.provider == "openai") return &kOpenAi;
  return nullptr;
}

std::string_view WireResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace tessera::providers
