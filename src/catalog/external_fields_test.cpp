#include "catalog/external_fields.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera::catalog {
namespace {

const SecretField kKey{.reference = "{{secrets/llm/key}}"};

ExternalModel model(std::string provider, std::map<std::string, std::string> config,
                    std::map<std::string, SecretField> secrets, Task task = Task::kChat) {
  return {std::move(provider), "a-model", task, std::move(config), std::move(secrets)};
}

TEST(ExternalFields, WhatEachProviderNeeds) {
  const std::vector<ExternalModel> good = {
      model("openai", {}, {{"openai_api_key", kKey}}),
      model("openai",
            {{"openai_api_type", "azure"},
             {"openai_api_base", "https://x.example"},
             {"openai_api_version", "2024-10-21"},
             {"openai_deployment_name", "d"}},
            {{"openai_api_key", kKey}}),
      model("openai",
            {{"openai_api_type", "azuread"},
             {"openai_api_base", "https://x.example"},
             {"openai_api_version", "2024-10-21"},
             {"openai_deployment_name", "d"},
             {"microsoft_entra_tenant_id", "t"},
             {"microsoft_entra_client_id", "c"}},
            {{"microsoft_entra_client_secret", kKey}}),
      model("anthropic", {{"base_url_override", "https://proxy.example:8443"}},
            {{"anthropic_api_key", kKey}}),
      model("cohere", {}, {{"cohere_api_key", kKey}}, Task::kEmbeddings),
      model("ai21labs", {}, {{"ai21labs_api_key", kKey}}, Task::kCompletions),
      model("palm", {}, {{"palm_api_key", kKey}}),
      model("amazon-bedrock", {{"aws_region", "eu-west-1"}, {"bedrock_provider", "anthropic"}},
            {{"aws_access_key_id", kKey}, {"aws_secret_access_key", kKey}}),
      model("amazon-bedrock",
            {{"aws_region", "eu-west-1"},
             {"bedrock_provider", "cohere"},
             {"instance_profile_arn", "arn:aws:iam::1:role/r"}},
            {}),
      model("amazon-bedrock", {{"aws_region", "eu-west-1"}, {"bedrock_provider", "amazon"}},
            {{"bedrock_api_key", kKey}}),
      model("google-cloud-vertex-ai", {{"project_id", "p"}, {"region", "r"}},
            {{"private_key", kKey}}),
      model("databricks-model-serving", {{"databricks_workspace_url", "https://w.example"}},
            {{"databricks_api_token", kKey}}),
      model("custom", {{"custom_provider_url", "https://c.example/v1"}},
            {{"bearer_token_auth.token", kKey}}),
      model("custom",
            {{"custom_provider_url", "https://c.example/v1"}, {"api_key_auth.key", "api-key"}},
            {{"api_key_auth.value", kKey}}),
  };
  for (const ExternalModel& m : good) {
    EXPECT_NO_THROW(validate_external_model(m, "e")) << m.provider;
  }
}

TEST(ExternalFields, RefusalsNameTheField) {
  const std::string openai = "e.openai_config.", bedrock = "e.amazon_bedrock_config";
  const std::vector<std::pair<ExternalModel, std::string>> bad = {
      {model("nobody", {}, {}), "e.provider"},
      {model("openai", {}, {}), openai + "openai_api_key"},
      {model("openai", {{"openai_api_version", "1"}}, {{"openai_api_key", kKey}}),
       openai + "openai_api_version"},
      {model("openai", {{"openai_api_type", "azure"}}, {{"openai_api_key", kKey}}),
       openai + "openai_api_base"},
      {model("openai", {{"openai_api_type", "mine"}}, {{"openai_api_key", kKey}}),
       openai + "openai_api_type"},
      {model("openai", {{"aws_region", "x"}}, {{"openai_api_key", kKey}}), openai + "aws_region"},
      {model("openai", {{"openai_api_base", "ftp://x"}}, {{"openai_api_key", kKey}}),
       openai + "openai_api_base"},
      {model("openai", {{"openai_api_base", "https://user@x"}}, {{"openai_api_key", kKey}}),
       openai + "openai_api_base"},
      {model("openai", {{"base_url_override", "https://x/path"}}, {{"openai_api_key", kKey}}),
       openai + "base_url_override"},
      {model("openai", {{"max_retries", "-1"}}, {{"openai_api_key", kKey}}),
       openai + "max_retries"},
      {model("openai", {}, {{"openai_api_key", {.reference = "sk-not-a-reference"}}}),
       openai + "openai_api_key"},
      {model("anthropic", {}, {{"anthropic_api_key", kKey}}, Task::kEmbeddings), "e.task"},
      {model("amazon-bedrock", {{"aws_region", "r"}, {"bedrock_provider", "anthropic"}}, {}),
       bedrock},
      {model("amazon-bedrock", {{"aws_region", "r"}, {"bedrock_provider", "anthropic"}},
             {{"aws_access_key_id", kKey}}),
       bedrock + ".aws_secret_access_key"},
      {model("amazon-bedrock",
             {{"aws_region", "r"}, {"bedrock_provider", "xyz"}, {"instance_profile_arn", "arn"}},
             {}, Task::kEmbeddings),
       "e.task"},
      {model("custom", {{"custom_provider_url", "https://c"}}, {}), "e.custom_provider_config"},
      {model("custom", {{"custom_provider_url", "https://c"}, {"api_key_auth.key", "a b"}},
             {{"api_key_auth.value", kKey}}),
       "e.custom_provider_config.api_key_auth.key"},
  };
  for (const auto& [m, param] : bad) {
    try {
      validate_external_model(m, "e");
      ADD_FAILURE() << "accepted: " << param;
    } catch (const Error& error) {
      EXPECT_EQ(error.param, param) << error.message;
      EXPECT_EQ(error.message.find("sk-not"), std::string::npos) << "quotes what may be a secret";
    }
  }
}

TEST(ExternalFields, References) {
  const auto reference = parse_secret_reference("{{secrets/my.scope@x/key-1}}");
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->scope, "my.scope@x");
  EXPECT_EQ(reference->key, "key-1");
  for (const char* text : {"", "sk-1", "{{secrets/a}}", "{{secrets/a/b/c}}", "{{ secrets/a/b }}",
                           "{{secrets/a/b}} ", "{{secrets//b}}", "{{secrets/a/k@y}}"}) {
    EXPECT_FALSE(parse_secret_reference(text)) << text;
  }
}

}  // namespace
}  // namespace tessera::catalog
