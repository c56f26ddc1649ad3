// What may be configured about an external model, provider by provider (control-plane 1.4,
// external-providers 1.2): one table that the API's reader, writer and validation share.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "catalog/served_entity.h"

namespace tessera::catalog {

enum class FieldType {
  kText,
  kUrl,      // http(s), with a host
  kOrigin,   // a URL without a path
  kInteger,  // at least 0
  kBoolean,
  kChoice,  // one of `choices`, any case; kept in lower case
  kSecret,  // a pair: `name` is a reference, `name`_plaintext the value
};

struct ExternalField {
  std::string_view name;  // "openai_api_base"; members of nested objects as "api_key_auth.value"
  FieldType type = FieldType::kText;
  std::string_view choices = {};  // kChoice: "a|b"
};

struct ExternalProvider {
  std::string_view name;           // "openai"
  std::string_view config_object;  // "openai_config"
  std::span<const ExternalField> fields;
};

std::span<const ExternalProvider> external_providers();
// nullptr when there is none of that name.
const ExternalProvider* find_external_provider(std::string_view name);
// Fields of the provider, then those that every provider has.
const ExternalField* find_external_field(const ExternalProvider& provider, std::string_view name);
// Those that every provider has.
std::span<const ExternalField> common_external_fields();

// Exactly what the provider needs is there, every value is of its type, and the task is one of the
// provider's. Throws Error(kInvalidParameterValue) with the field's path below `path`.
void validate_external_model(const ExternalModel& model, std::string_view path);

// The parts of "{{secrets/scope/key}}"; nullopt for anything else.
struct SecretReference {
  std::string scope, key;
};
std::optional<SecretReference> parse_secret_reference(std::string_view text);

}  // namespace tessera::catalog
