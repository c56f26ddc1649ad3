// What a new installation starts with, and what every start makes sure of. On the control thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "control/endpoint_table.h"
#include "control/options.h"
#include "control/secret_vault.h"
#include "store/model_store.h"

namespace tessera::control {

// "dapi" and 32 random hex digits.
std::string new_token_text();

// A decimal number, made once per installation.
std::string workspace_id(store::Database& database);

// First start only: the admin user and one random token, whose text goes to `token_file` (mode
// 0600) and nowhere else. Returns false when there was a user already.
bool ensure_admin(EndpointTable& table, const std::string& admin_user,
                  const std::filesystem::path& token_file);

// system.ai, the six databricks-… endpoints, and the default models whose files exist.
void ensure_catalog(EndpointTable& table, store::Database& database, store::ModelStore& models,
                    const SecretVault& vault, const Options& options);

// The default models of `make serve`, by where their files are.
std::vector<DefaultModel> shipped_default_models(const std::filesystem::path& chat_model,
                                                 const std::filesystem::path& embedding_model);

}  // namespace tessera::control
