// The table of names that are promised, as data: each is known, and a request for it goes where the
// table says.
#include "catalog/known_models.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/json.h"
#include "providers/provider.h"

namespace tessera::providers {
namespace {

using catalog::ExternalModel;
using catalog::Task;

json::object table() {
  std::ifstream file(TESSERA_SOURCE_DIR "/tests/golden/known_models/models.json");
  std::stringstream text;
  text << file.rdbuf();
  return parse_json_object(text.str());
}

ExternalModel model_of(const json::object& all, const json::object& row) {
  ExternalModel model{.provider = require_string(row, "provider"),
                      .name = require_string(row, "name"),
                      .task = *catalog::parse_task(require_string(row, "task"))};
  for (const json::value& entry : require_array(all, "config")) {
    const json::object& config = entry.as_object();
    if (require_string(config, "provider") != model.provider ||
        require_string(config, "variant") != require_string(row, "variant")) {
      continue;
    }
    for (const auto& [key, value] : require_object(config, "config")) {
      model.config[std::string(key)] = std::string(value.as_string());
    }
  }
  return model;
}

WireRequest request_for(const Provider& provider, const ExternalModel& model) {
  const Context context{.model = model};
  switch (model.task) {
    case Task::kCompletions: {
      api::CompletionRequest request;
      request.prompts.push_back({.text = "The sky is"});
      return provider.completions.to_wire(request, context);
    }
    case Task::kEmbeddings: {
      api::EmbeddingRequest request;
      request.inputs.push_back({.text = "red"});
      return provider.embeddings.to_wire(request, context);
    }
    case Task::kChat:
      break;
  }
  api::ChatRequest request;
  request.messages.push_back({.role = "user", .content = "1+1?"});
  return provider.chat.to_wire(request, context);
}

TEST(KnownModels, AreThoseOfTheTable) {
  const json::object all = table();
  const json::array& rows = require_array(all, "models");
  ASSERT_EQ(rows.size(), 97u);
  ASSERT_EQ(catalog::known_models().size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const json::object& row = rows[i].as_object();
    const catalog::KnownModel& known = catalog::known_models()[i];
    EXPECT_EQ(known.provider, require_string(row, "provider"));
    EXPECT_EQ(known.variant, require_string(row, "variant"));
    EXPECT_EQ(to_string(known.task), require_string(row, "task"));
    EXPECT_EQ(known.name, require_string(row, "name"));
    EXPECT_GT(known.hints.context, 0) << known.name;
    EXPECT_EQ(known.hints.dimensions > 0, known.task == Task::kEmbeddings) << known.name;
  }
}

TEST(KnownModels, GoWhereTheTableSays) {
  const json::object all = table();
  for (const json::value& entry : require_array(all, "models")) {
    const json::object& row = entry.as_object();
    const ExternalModel model = model_of(all, row);
    SCOPED_TRACE(model.provider + " " + model.name + " " + std::string(to_string(model.task)));
    const Provider* provider = find_provider(model);
    if (provider == nullptr) {
      ADD_FAILURE() << "no dialect";
      continue;
    }
    const WireRequest wire = request_for(*provider, model);
    EXPECT_EQ(provider->base_url(model) + wire.path, require_string(row, "url"));
    const json::object body = parse_json_object(wire.body);
    const json::value* sent = body.if_contains("model");
    EXPECT_EQ(sent == nullptr ? json::value() : *sent, row.at("model"));
  }
}

TEST(KnownModels, SuggestionsAndWarnings) {
  const auto names = catalog::suggestions("cohere", "", Task::kCompletions);
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0]->name, "command");
  EXPECT_EQ(catalog::suggestions("amazon-bedrock", "amazon", Task::kChat).size(), 0u);

  ExternalModel model{.provider = "openai", .name = "gpt-4o", .task = Task::kChat};
  EXPECT_EQ(catalog::task_warning(model), "");
  model.task = Task::kEmbeddings;
  EXPECT_NE(catalog::task_warning(model).find("llm/v1/chat"), std::string::npos);
  EXPECT_EQ(catalog::find_known(model)->hints.context, 128'000);
  model.name = "ft:gpt-4o:acme::7p4lURel";  // not listed, so nothing is known of it
  EXPECT_EQ(catalog::task_warning(model), "");
  EXPECT_EQ(catalog::find_known(model), nullptr);
  // One name under two tasks.
  model = {.provider = "cohere", .name = "command", .task = Task::kChat};
  EXPECT_EQ(catalog::find_known(model)->task, Task::kChat);
  model.task = Task::kEmbeddings;
  EXPECT_NE(catalog::task_warning(model), "");
  // Azure's names are not OpenAI's.
  model = {.provider = "openai", .name = "gpt-35-turbo", .task = Task::kChat};
  EXPECT_EQ(catalog::find_known(model), nullptr);
  model.config["openai_api_type"] = "AzureAD";
  EXPECT_NE(catalog::find_known(model), nullptr);
}

// ** fine-tuned, † custom and new models: the name goes out as it was typed.
TEST(KnownModels, UnlistedNamesPass) {
  struct Row {
    ExternalModel model;
    const char* url;
  };
  const std::map<std::string, std::string> vertex = {{"project_id", "p"}, {"region", "global"}};
  const Row rows[] = {
      {{.provider = "openai", .name = "ft:gpt-4o:acme::7p4lURel"},
       "https://api.openai.com/v1/chat/completions"},
      {{.provider = "cohere", .name = "0d8a2e58-ft"}, "https://api.cohere.com/v2/chat"},
      {{.provider = "cohere", .name = "0d8a2e58-ft", .task = Task::kCompletions},
       "https://api.cohere.com/v1/generate"},
      {{.provider = "cohere", .name = "embed-v4.0", .task = Task::kEmbeddings},
       "https://api.cohere.com/v2/embed"},
      {{.provider = "cohere", .name = "command-a-03-2025", .task = Task::kCompletions},
       "https://api.cohere.com/v2/chat"},
      {{.provider = "cohere",
        .name = "command-r",
        .config = {{"cohere_api_version", "1"}, {"cohere_api_base", "https://api.cohere.ai/v1/"}}},
       "https://api.cohere.ai/v1/chat"},
      {{.provider = "ai21labs", .name = "j2-mid/my model", .task = Task::kCompletions},
       "https://api.ai21.com/studio/v1/j2-mid/my%20model/complete"},
      {{.provider = "google-cloud-vertex-ai", .name = "gemini-9-ultra", .config = vertex},
       "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/"
       "gemini-9-ultra:generateContent"},
      {{.provider = "google-cloud-vertex-ai", .name = "endpoints/123", .config = vertex},
       "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/"
       "123:generateContent"},
      {{.provider = "google-cloud-vertex-ai",
        .name = "publishers/google/models/gemini-2.0-flash",
        .config = {{"project_id", "p"}, {"region", "eu"}}},
       "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/google/"
       "models/gemini-2.0-flash:generateContent"},
      {{.provider = "google-cloud-vertex-ai",
        .name = "text-bison@002",
        .task = Task::kCompletions,
        .config = vertex},
       "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/"
       "text-bison@002:predict"},
      {{.provider = "google-cloud-vertex-ai",
        .name = "gemini-embedding-2-preview",
        .task = Task::kEmbeddings,
        .config = vertex},
       "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/"
       "gemini-embedding-2-preview:embedContent"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.model.name);
    const Provider* provider = find_provider(row.model);
    ASSERT_NE(provider, nullptr);
    EXPECT_EQ(provider->base_url(row.model) + request_for(*provider, row.model).path, row.url);
  }
}

}  // namespace
}  // namespace tessera::providers
