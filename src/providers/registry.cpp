#include "base/strings.h"
#include "providers/bedrock.h"
#include "providers/anthropic.h"
#include "providers/ai21.h"
#include "providers/cohere.h"
#include "providers/openai.h"
#include "providers/provider.h"
#include "providers/vertex.h"

namespace tessera::providers {

const Provider& worker_provider() { return kWorker; }

const Provider* find_provider(const catalog::ExternalModel& model) {
  if (model.provider == "anthropic") return &kAnthropic;
  if (model.provider == "cohere") return &kCohere;
  if (model.provider == "ai21labs") return &kAi21;
  if (model.provider == "google-cloud-vertex-ai") return &kVertex;
  if (model.provider == "palm") return &kPalm;
  if (model.provider == "amazon-bedrock") return find_bedrock(model);
  if (model.provider == "openai") {
    const std::string_view type = model.option("openai_api_type");
    return iequals(type, "azure") || iequals(type, "azuread") ? &kAzure : &kOpenAi;
  }
  if (model.provider == "custom") return &kCustom;
  if (model.provider == "databricks-model-serving") return &kDatabricks;
  return nullptr;
}

std::string_view WireResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace tessera::providers
