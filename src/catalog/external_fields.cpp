#include "catalog/external_fields.h"

#include <algorithm>
#include <initializer_list>

#include "base/error.h"
#include "base/strings.h"
#include "catalog/secret.h"

namespace tessera::catalog {
namespace {

using enum FieldType;

constexpr ExternalField kOpenAi[] = {
    {"openai_api_key", kSecret},
    {"openai_api_type", kChoice, "openai|azure|azuread"},
    {"openai_api_base", kUrl},
    {"openai_api_version"},
    {"openai_deployment_name"},
    {"openai_organization"},
    {"microsoft_entra_tenant_id"},
    {"microsoft_entra_client_id"},
    {"microsoft_entra_client_secret", kSecret},
};
constexpr ExternalField kAnthropic[] = {
    {"anthropic_api_key", kSecret},
    {"anthropic_version"},
};
constexpr ExternalField kCohere[] = {
    {"cohere_api_key", kSecret},
    {"cohere_api_base", kUrl},
    {"cohere_api_version", kChoice, "auto|1|2"},
};
constexpr ExternalField kAi21[] = {{"ai21labs_api_key", kSecret}};
constexpr ExternalField kPalm[] = {{"palm_api_key", kSecret}};
constexpr ExternalField kBedrock[] = {
    {"aws_region"},
    {"bedrock_provider"},  // those not known today are spoken to by Converse
    {"aws_access_key_id", kSecret},
    {"aws_secret_access_key", kSecret},
    {"aws_session_token", kSecret},
    {"bedrock_api_key", kSecret},  // instead of signing
    {"instance_profile_arn"},
    {"uc_service_credential_name"},
    {"aws_role_arn"},
    {"aws_external_id"},
    {"aws_session_duration_seconds", kInteger},
    {"sts_endpoint_override", kOrigin},
    {"bedrock_chat_api", kChoice, "invoke|converse"},
};
constexpr ExternalField kVertex[] = {
    {"project_id"},
    {"region"},
    {"private_key", kSecret},
};
constexpr ExternalField kDatabricks[] = {
    {"databricks_workspace_url", kUrl},
    {"databricks_api_token", kSecret},
};
constexpr ExternalField kCustom[] = {
    {"custom_provider_url", kUrl},
    {"bearer_token_auth.token", kSecret},
    {"api_key_auth.key"},
    {"api_key_auth.value", kSecret},
    {"custom_supports_stream_options", kBoolean},
};

constexpr ExternalField kCommon[] = {
    {"base_url_override", kOrigin},
    {"token_url_override", kUrl},
    {"default_max_tokens", kInteger},
    {"default_input_type"},
    {"unsupported_params", kChoice, "reject|drop"},
    {"temperature_policy", kChoice, "native|scale|clamp"},
    {"image_url_policy", kChoice, "pass|inline|reject"},
    {"reasoning_format", kChoice, "openai|databricks"},
    {"fix_messages", kBoolean},
    {"request_timeout_s", kInteger},
    {"max_retries", kInteger},
};

constexpr ExternalProvider kProviders[] = {
    {"ai21labs", "ai21labs_config", kAi21},
    {"amazon-bedrock", "amazon_bedrock_config", kBedrock},
    {"anthropic", "anthropic_config", kAnthropic},
    {"cohere", "cohere_config", kCohere},
    {"custom", "custom_provider_config", kCustom},
    {"databricks-model-serving", "databricks_model_serving_config", kDatabricks},
    {"google-cloud-vertex-ai", "google_cloud_vertex_ai_config", kVertex},
    {"openai", "openai_config", kOpenAi},
    {"palm", "palm_config", kPalm},
};

// Reads one model and says what is wrong with it.
class Check {
 public:
  Check(const ExternalModel& model, const ExternalProvider& provider, std::string_view path)
      : model_(model), provider_(provider), path_(path) {}

  void run() const {
    if (model_.name.empty()) invalid("name", "missing, want the model's name at the provider.");
    if (model_.name.size() > 512) invalid("name", "longer than 512 characters.");
    for (const auto& [name, value] : model_.config) check_value(name, value);
    for (const auto& [name, secret] : model_.secrets) check_secret(name, secret);
    check_task();
    check_provider();
  }

 private:
  [[noreturn]] void invalid(std::string_view field, std::string message) const {
    const std::string at = std::string(path_) + "." + std::string(field);
    throw Error(ErrorKind::kInvalidParameterValue, at + ": " + std::move(message), at);
  }
  std::string in_config(std::string_view field) const {
    return std::string(provider_.config_object) + "." + std::string(field);
  }
  [[noreturn]] void invalid_config(std::string_view field, std::string message) const {
    invalid(in_config(field), std::move(message));
  }

  bool has(const std::string& field) const {
    return model_.config.contains(field) || model_.secrets.contains(field);
  }
  void require(const char* field, std::string_view why = "missing.") const {
    if (!has(field)) invalid_config(field, std::string(why));
  }
  void forbid(const char* field, std::string_view why) const {
    if (has(field)) invalid_config(field, std::string(why));
  }
  std::string option(const char* field) const { return std::string(model_.option(field)); }

  void check_value(const std::string& name, const std::string& value) const {
    const ExternalField* field = find_external_field(provider_, name);
    if (field == nullptr) invalid_config(name, "no such field of this provider.");
    if (value.empty()) invalid_config(name, "must not be empty; leave it out instead.");
    const std::string got = "received " + quote_for_message(value) + ", want ";
    for (const char c : value) {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') {
        invalid_config(name, "holds a control character.");
      }
    }
    switch (field->type) {
      case kUrl:
      case kOrigin:
        check_url(name, value, field->type == kOrigin);
        break;
      case kInteger:
        if (const auto number = parse_int(value); !number || *number < 0) {
          invalid_config(name, got + "a whole number of at least 0.");
        }
        break;
      case kBoolean:
        if (value != "true" && value != "false") invalid_config(name, got + "true or false.");
        break;
      case kChoice: {
        std::string wanted;
        for (const std::string_view choice : split(field->choices, '|')) {
          if (choice == value) return;
          wanted += (wanted.empty() ? "" : ", ") + std::string(choice);
        }
        invalid_config(name, got + "one of " + wanted + ".");
      }
      case kText:
      case kSecret:
        break;
    }
  }

  void check_url(const std::string& name, std::string_view url, bool origin_only) const {
    const std::string got = "received " + quote_for_message(url) + ", want ";
    const std::size_t scheme = url.find("://");
    const bool known = url.starts_with("https://") || url.starts_with("http://");
    if (!known) invalid_config(name, got + "a URL that begins with https:// or http://.");
    const std::string_view rest = url.substr(scheme + 3);
    const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
    if (host.empty() || host.find('@') != std::string_view::npos) {
      invalid_config(name, got + "a URL with a host and without user or password.");
    }
    if (url.find_first_of("#?") != std::string_view::npos) {
      invalid_config(name, got + "a URL without a query.");
    }
    std::string_view path = rest.substr(host.size());
    if (origin_only && !path.empty() && path != "/") {
      invalid_config(name, got + "scheme, host and port only.");
    }
  }

  void check_secret(const std::string& name, const SecretField& secret) const {
    const ExternalField* field = find_external_field(provider_, name);
    if (field == nullptr || field->type != kSecret) {
      invalid_config(name, "no such field of this provider.");
    }
    if (!secret.reference.empty() && !parse_secret_reference(secret.reference)) {
      // The value itself must not be quoted: it may well be the secret.
      invalid_config(name,
                     "want a reference of the form {{secrets/<scope>/<key>}}; a value goes to " +
                         std::string(name) + "_plaintext.");
    }
  }

  void check_task() const {
    const std::string& provider = model_.provider;
    const bool embeddings = model_.task == Task::kEmbeddings;
    const bool chat = model_.task == Task::kChat;
    bool offered = true;
    if (provider == "anthropic") offered = !embeddings;
    if (provider == "ai21labs") offered = !embeddings;
    if (provider == "amazon-bedrock") {
      const std::string who = to_lower(option("bedrock_provider"));
      if (who == "anthropic") offered = !embeddings;
      if (who == "ai21labs" && embeddings) offered = false;
      if (who != "anthropic" && who != "ai21labs" && who != "cohere" && who != "amazon") {
        offered = chat;
      }
    }
    if (offered) return;
    invalid("task", "received '" + std::string(to_string(model_.task)) + "', which the provider '" +
                        provider + "' does not offer.");
  }

  void check_provider() const {
    const std::string& provider = model_.provider;
    if (provider == "openai") check_openai();
    if (provider == "anthropic") require("anthropic_api_key");
    if (provider == "cohere") require("cohere_api_key");
    if (provider == "ai21labs") require("ai21labs_api_key");
    if (provider == "palm") require("palm_api_key");
    if (provider == "amazon-bedrock") check_bedrock();
    if (provider == "google-cloud-vertex-ai") {
      require("project_id");
      require("region");
      require("private_key");
    }
    if (provider == "databricks-model-serving") {
      require("databricks_workspace_url");
      require("databricks_api_token");
    }
    if (provider == "custom") check_custom();
  }

  void check_openai() const {
    const std::string type = has("openai_api_type") ? option("openai_api_type") : "openai";
    if (type == "openai") {
      require("openai_api_key");
      for (const char* field : {"openai_api_version", "openai_deployment_name"}) {
        forbid(field, "only with openai_api_type azure or azuread.");
      }
      return;
    }
    for (const char* field : {"openai_api_base", "openai_api_version", "openai_deployment_name"}) {
      require(field, "missing; openai_api_type " + type + " needs it.");
    }
    forbid("openai_organization", "only with openai_api_type openai.");
    if (type == "azure") {
      require("openai_api_key");
      return;
    }
    if (has("openai_api_key")) return;  // a token that somebody else has fetched
    for (const char* field : {"microsoft_entra_tenant_id", "microsoft_entra_client_id",
                              "microsoft_entra_client_secret"}) {
      require(field, "missing; openai_api_type azuread needs it, or openai_api_key with a token.");
    }
  }

  void check_bedrock() const {
    require("aws_region");
    require("bedrock_provider");
    const bool keys = has("aws_access_key_id") || has("aws_secret_access_key");
    const int ways = int{keys} + int{has("bedrock_api_key")} + int{has("instance_profile_arn")} +
                     int{has("uc_service_credential_name")};
    if (ways != 1) {
      invalid(provider_.config_object,
              "want exactly one of aws_access_key_id with aws_secret_access_key, "
              "bedrock_api_key, instance_profile_arn, and uc_service_credential_name.");
    }
    if (keys) {
      require("aws_access_key_id");
      require("aws_secret_access_key");
    } else {
      forbid("aws_session_token", "only with aws_access_key_id.");
    }
  }

  void check_custom() const {
    require("custom_provider_url");
    const bool bearer = has("bearer_token_auth.token");
    const bool key = has("api_key_auth.key") || has("api_key_auth.value");
    if (bearer == key) {
      invalid(provider_.config_object, "want exactly one of bearer_token_auth and api_key_auth.");
    }
    if (!key) return;
    require("api_key_auth.key");
    require("api_key_auth.value");
    for (const char c : option("api_key_auth.key")) {
      const bool token = std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
      if (!token) {
        invalid_config("api_key_auth.key", "received " +
                                               quote_for_message(option("api_key_auth.key")) +
                                               ", want the name of a header.");
      }
    }
  }

  const ExternalModel& model_;
  const ExternalProvider& provider_;
  std::string_view path_;
};

}  // namespace

std::span<const ExternalProvider> external_providers() { return kProviders; }

std::span<const ExternalField> common_external_fields() { return kCommon; }

const ExternalProvider* find_external_provider(std::string_view name) {
  for (const ExternalProvider& provider : kProviders) {
    if (provider.name == name) return &provider;
  }
  return nullptr;
}

const ExternalField* find_external_field(const ExternalProvider& provider, std::string_view name) {
  for (const std::span<const ExternalField> fields :
       {provider.fields, std::span<const ExternalField>(kCommon)}) {
    for (const ExternalField& field : fields) {
      if (field.name == name) return &field;
    }
  }
  return nullptr;
}

void validate_external_model(const ExternalModel& model, std::string_view path) {
  const ExternalProvider* provider = find_external_provider(model.provider);
  if (provider == nullptr) {
    std::string names;
    for (const ExternalProvider& known : kProviders) {
      names += (names.empty() ? "" : ", ") + std::string(known.name);
    }
    const std::string at = std::string(path) + ".provider";
    throw Error(
        ErrorKind::kInvalidParameterValue,
        at + ": received " + quote_for_message(model.provider) + ", want one of " + names + ".",
        at);
  }
  Check(model, *provider, path).run();
}

std::optional<SecretReference> parse_secret_reference(std::string_view text) {
  constexpr std::string_view kBegin = "{{secrets/", kEnd = "}}";
  if (!text.starts_with(kBegin) || !text.ends_with(kEnd)) return std::nullopt;
  text.remove_prefix(kBegin.size());
  text.remove_suffix(kEnd.size());
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  SecretReference reference{std::string(text.substr(0, slash)),
                            std::string(text.substr(slash + 1))};
  if (!is_scope_name(reference.scope) || !is_secret_key(reference.key)) return std::nullopt;
  return reference;
}

}  // namespace tessera::catalog
