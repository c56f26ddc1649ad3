// From what a request asks for to a config that can be rolled out: looks entities up in the model
// registry and their files. On the control thread.
#pragma once

#include "catalog/endpoint.h"
#include "control/options.h"
#include "control/secret_vault.h"
#include "store/model_store.h"

namespace tessera::control {

class Rollout {
 public:
  Rollout(store::ModelStore& models, const SecretVault& vault, const Options& options)
      : models_(models), vault_(vault), options_(options) {}

  // Merges the change into the endpoint's config, resolves it and begins the update. Throws
  // Error(kInvalidParameterValue | kResourceDoesNotExist | kResourceConflict).
  void begin(catalog::Endpoint& endpoint, catalog::ConfigChange change,
             const catalog::Principal& principal, std::int64_t now_ms) const;
  // Rolls `version` of a preconfigured endpoint's model out.
  void begin_preconfigured(catalog::Endpoint& endpoint, const catalog::ModelVersion& version,
                           std::int64_t now_ms) const;

  // The largest throughput steps a model is offered in (data-plane 7.3).
  int chunk_size() const { return options_.throughput_chunk_size; }
  // nullopt when the files hold no model we can serve.
  std::optional<ModelFacts> facts(const std::filesystem::path& path) const;
  // Throws Error(kResourceDoesNotExist).
  catalog::ModelVersion version(const std::string& full_name, std::string_view number,
                                std::string_view field) const;

 private:
  void fill_version(catalog::ServedEntity& entity) const;
  void resolve(catalog::ServedEntity& entity, std::string_view path) const;

  store::ModelStore& models_;
  const SecretVault& vault_;
  const Options& options_;
};

}  // namespace tessera::control
