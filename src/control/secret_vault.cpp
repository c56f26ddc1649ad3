#include "control/secret_vault.h"

#include <cstdlib>
#include <fstream>

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "catalog/external_fields.h"
#include "control/data_folder.h"

namespace tessera::control {

using namespace catalog;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kKeyBytes = 32;

std::string parse_key(std::string_view text, std::string_view source) {
  const auto bytes = hex_decode(trim(text));
  if (bytes && bytes->size() == kKeyBytes) return *bytes;
  throw Error(ErrorKind::kBadConfiguration, std::string(source) + " holds no key, want " +
                                                std::to_string(2 * kKeyBytes) +
                                                " hexadecimal digits.");
}

std::string scope_context(std::string_view scope, std::string_view key) {
  return "secret/" + std::string(scope) + "/" + std::string(key);
}

// Of one field of one entity: a sealed value cannot be moved to another endpoint or field.
std::string field_context(std::string_view endpoint_id, std::string_view entity_name,
                          std::string_view field) {
  return "endpoint/" + std::string(endpoint_id) + "/" + std::string(entity_name) + "/" +
         std::string(field);
}

const ServedEntity* find_same(const Endpoint& endpoint, const ServedEntity& entity) {
  for (const auto* config : {&endpoint.pending, &endpoint.active}) {
    if (!*config) continue;
    const ServedEntity* found = (*config)->find(entity.name);
    if (found && found->external_model &&
        found->external_model->provider == entity.external_model->provider) {
      return found;
    }
  }
  return nullptr;
}

}  // namespace

std::string secret_key(const fs::path& file) {
  if (const char* text = std::getenv("TESSERA_SECRET_KEY"); text != nullptr && *text != '\0') {
    return parse_key(text, "The environment variable TESSERA_SECRET_KEY");
  }
  if (!fs::exists(file)) write_private_file(file, hex_encode(random_bytes(kKeyBytes)) + "\n");
  std::ifstream in(file);
  std::string text;
  std::getline(in, text);
  return parse_key(text, "The file '" + file.string() + "'");
}

std::string SecretVault::seal_text(std::string_view value, std::string_view context) const {
  return base64_encode(seal(key_, value, context));
}

std::string SecretVault::open_text(std::string_view sealed, std::string_view context) const {
  const auto bytes = base64_decode(sealed);
  const auto value = bytes ? open_sealed(key_, *bytes, context) : std::nullopt;
  if (value) return *value;
  throw Error(ErrorKind::kBadConfiguration,
              "A secret cannot be opened: it was sealed with another key. Give the server the key "
              "that it had, or set the secret anew.");
}

void SecretVault::put(std::string_view scope, std::string_view key, std::string_view value,
                      std::int64_t now_ms) {
  store_.put(scope, key, seal_text(value, scope_context(scope, key)), now_ms);
}

std::string SecretVault::get(std::string_view scope, std::string_view key) const {
  const auto sealed = store_.sealed(scope, key);
  if (!sealed) {
    throw Error(ErrorKind::kResourceDoesNotExist, "Secret " + quote_for_message(key) +
                                                      " does not exist in scope " +
                                                      quote_for_message(scope) + ".");
  }
  return open_text(*sealed, scope_context(scope, key));
}

std::string SecretVault::value_of(const SecretField& field, const std::string& context) const {
  if (field.reference.empty()) return open_text(field.sealed, context);
  const auto reference = parse_secret_reference(field.reference);
  if (!reference) throw Error(ErrorKind::kBadConfiguration, "bad reference " + field.reference);
  return get(reference->scope, reference->key);
}

void SecretVault::adopt(ServedEntity& entity, const Endpoint& old, const Principal& principal,
                        const std::string& path) const {
  if (!entity.external_model) return;
  ExternalModel& model = *entity.external_model;
  const ServedEntity* before = find_same(old, entity);
  if (before != nullptr) {
    for (const auto& [name, secret] : before->external_model->secrets) {
      // A reference is echoed, so a client that leaves it out wants it gone; a plaintext it cannot
      // know (control-plane 1.4).
      if (secret.reference.empty()) model.secrets.try_emplace(name, secret);
    }
  }
  const ExternalProvider* provider = find_external_provider(model.provider);
  for (auto& [name, secret] : model.secrets) {
    const std::string context = field_context(old.id, entity.name, name);
    if (secret.reference.empty()) {
      if (secret.sealed.empty()) secret.sealed = seal_text(secret.value, context);
      continue;
    }
    const std::string at =
        path + "." + (provider ? std::string(provider->config_object) + "." : "") + name;
    const auto reference = parse_secret_reference(secret.reference);
    if (!reference) continue;  // refused by name when the config is validated
    const auto scope = store_.scope(reference->scope);
    if (!scope) {
      throw Error(ErrorKind::kResourceDoesNotExist,
                  at + ": scope " + quote_for_message(reference->scope) + " does not exist.", at);
    }
    if (scope->permission_of(principal) < SecretPermission::kRead) {
      throw Error(ErrorKind::kPermissionDenied,
                  at + ": you have no READ permission on scope " +
                      quote_for_message(reference->scope) + ".",
                  at);
    }
    try {
      secret.value = get(reference->scope, reference->key);
    } catch (Error& error) {
      error.message = at + ": " + error.message;
      error.param = at;
      throw;
    }
  }
}

bool SecretVault::open(Endpoint& endpoint) const {
  bool changed = false;
  for (auto* config : {&endpoint.active, &endpoint.pending}) {
    if (!*config) continue;
    for (ServedEntity& entity : (*config)->entities) {
      if (!entity.external_model) continue;
      for (auto& [name, secret] : entity.external_model->secrets) {
        try {
          std::string value = value_of(secret, field_context(endpoint.id, entity.name, name));
          changed = changed || value != secret.value;
          secret.value = std::move(value);
        } catch (const Error& error) {
          log_error("control", "a secret of an external model cannot be opened",
                    {{"endpoint", endpoint.name},
                     {"entity", entity.name},
                     {"field", name},
                     {"reason", error.message}});
        }
      }
    }
  }
  return changed;
}

}  // namespace tessera::control
