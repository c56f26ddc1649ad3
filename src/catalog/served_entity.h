// One model behind an endpoint (control-plane 1.3, 1.9): what was asked for, and how it is doing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::catalog {

enum class Task { kChat, kCompletions, kEmbeddings };

std::string_view to_string(Task task);  // "llm/v1/chat", …
std::optional<Task> parse_task(std::string_view text);

// kRegisteredModel: entity_name and entity_version from the model registry. kFoundationModel: a
// preconfigured entry of system.ai. kExternalModel: somebody else's API.
enum class EntityKind { kRegisteredModel, kFoundationModel, kExternalModel };

std::string_view to_string(EntityKind kind);  // "UC_MODEL", "FOUNDATION_MODEL", "EXTERNAL_MODEL"

enum class Deployment { kCreating, kRecovering, kReady, kFailed, kAborted };

std::string_view to_string(Deployment deployment);  // "DEPLOYMENT_CREATING", …
std::optional<Deployment> parse_deployment(std::string_view text);

// A secret-bearing field of an external model. Given as a reference or in plaintext (control-plane
// 1.4); the plaintext is kept sealed and never leaves by any API or log.
struct SecretField {
  std::string reference;  // "{{secrets/scope/key}}"; empty: given in plaintext
  std::string sealed;     // plaintext under the server's key, base64; empty with a reference
  std::string value;      // for the gateway, filled in when a snapshot is published; never stored
  bool operator==(const SecretField& other) const {
    return reference == other.reference && sealed == other.sealed;
  }
};

// How a provider dialect is told whom to call. Our own workers are described by it too, with
// provider "openai" and the worker's socket as destination (see ServedEntity::as_external_model).
// Members of nested objects go by their path: "bearer_token_auth.token".
struct ExternalModel {
  std::string provider;  // "openai", …
  std::string name;      // the model's name at the provider
  Task task = Task::kChat;
  std::map<std::string, std::string> config;   // e.g. "openai_api_base", SDK spelling
  std::map<std::string, SecretField> secrets;  // by the name without _plaintext, "openai_api_key"

  std::string_view option(const std::string& key) const;  // "" when absent
  std::string_view secret(const std::string& key) const;  // "" when absent
  bool operator==(const ExternalModel&) const = default;
};

// Shown with models of the built-in catalogue; `description` carries notes and licence (4.2.1).
struct FoundationModel {
  std::string name, display_name, docs, description;
};

struct ServedEntity {
  std::string id;    // 32 hex digits; names the processes and joins usage rows
  std::string name;  // unique in the endpoint
  EntityKind kind = EntityKind::kRegisteredModel;
  std::string entity_name;     // "catalog.schema.model"
  std::string entity_version;  // decimal
  std::optional<ExternalModel> external_model;
  std::string workload_type, workload_size;
  std::optional<std::int64_t> min_provisioned_concurrency, max_provisioned_concurrency;
  bool scale_to_zero_enabled = false;
  std::optional<std::int64_t> min_provisioned_throughput, max_provisioned_throughput;
  std::optional<std::int64_t> provisioned_model_units;
  bool burst_scaling_enabled = true;
  std::map<std::string, std::string> environment_vars;
  std::string instance_profile_arn;
  std::string creator;
  std::int64_t creation_timestamp_ms = 0;

  // Known once the model's files were looked at.
  std::string source;  // folder or file on this machine
  Task task = Task::kChat;
  std::string model_id;  // value of `model` in answers; also sent to the worker
  std::optional<int> max_model_len;
  std::optional<FoundationModel> foundation_model;

  // How it is doing. Sockets of the replicas that answer now; the gateway sends requests there.
  Deployment deployment = Deployment::kCreating;
  std::string deployment_state_message;
  std::vector<std::string> sockets;

  bool is_provisioned_throughput() const {
    return max_provisioned_throughput.has_value() || provisioned_model_units.has_value();
  }
  // Can take a request now: an external model, or one with a live replica.
  bool live() const { return kind == EntityKind::kExternalModel || !sockets.empty(); }
  // For local entities: provider "openai", name = model_id.
  ExternalModel as_external_model() const;
};

// True when both ask for the same processes: same model, version, compute and environment. Then a
// roll-out takes over the running replicas (6.4).
bool same_deployment(const ServedEntity& a, const ServedEntity& b);

// The name given to an entity that came without one.
std::string default_entity_name(const ServedEntity& entity);

// Throws Error(kInvalidParameterValue) naming field, value and what is wanted; `path` prefixes the
// field, e.g. "config.served_entities[0]".
void validate(const ServedEntity& entity, std::string_view path);

}  // namespace tessera::catalog
