#include "providers/openai.h"
#include "providers/provider.h"

namespace tessera::providers {

const Provider& worker_provider() { return kWorker; }

const Provider* find_provider(std::string_view name) {
  for (const Provider* provider : {&kOpenAi}) {
    if (provider->name == name) return provider;
  }
  return nullptr;
}

}  // namespace tessera::providers
