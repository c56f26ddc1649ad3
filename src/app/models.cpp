// `tessera models`: what the registry holds, adding to it, and a look into model files.

#include <filesystem>
#include <iomanip>
#include <iostream>

#include "app/api_client.h"
#include "app/commands.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "models/model.h"

namespace tessera::app {
namespace {

constexpr std::string_view kCatalog = "/api/2.1/unity-catalog";

struct Options {
  ApiAddress address;
  std::string full_name;
  std::string path;
};

int list(const Options& options) {
  ApiClient client(options.address);
  std::string page_token;
  do {
    std::string path = std::string(kCatalog) + "/models?max_results=100";
    if (!page_token.empty()) path += "&page_token=" + url_encode(page_token);
    const json::value answer = client.get(path);
    const json::object& page = as_object(answer, "");
    if (const json::array* models = get_array(page, "registered_models")) {
      for (const json::value& item : *models) {
        const json::object& model = as_object(item, "registered_models[]");
        std::cout << require_string(model, "full_name");
        if (auto comment = get_string(model, "comment"); comment && !comment->empty()) {
          std::cout << "  " << *comment;
        }
        std::cout << '\n';
        if (const json::array* notes = get_array(model, "notes")) {
          for (const json::value& note : *notes)
            std::cout << "    " << as_string(note, "notes[]") << '\n';
        }
        if (const json::object* license = get_object(model, "license")) {
          std::cout << "    Licence: " << get_string(*license, "name").value_or("unknown") << '\n';
        }
      }
    }
    page_token = get_string(page, "next_page_token").value_or("");
  } while (!page_token.empty());
  return 0;
}

// Creates what is missing of catalog, schema and model, then adds a version.
int register_model(const Options& options) {
  const auto parts = split(options.full_name, '.');
  if (parts.size() != 3) {
    throw Error(ErrorKind::kBadConfiguration, "name: got " + quote_for_message(options.full_name) +
                                                  ", want catalog.schema.model");
  }
  const std::string catalog(parts[0]), schema(parts[1]), model(parts[2]);
  inspect_model(options.path);  // refuse here rather than at the first endpoint
  ApiClient client(options.address);
  const auto ensure = [&](const std::string& collection, const std::string& full_name,
                          const json::object& body) {
    try {
      client.get(std::string(kCatalog) + collection + "/" + full_name);
    } catch (const Error&) {
      client.post(std::string(kCatalog) + collection, body);
    }
  };
  ensure("/catalogs", catalog, {{"name", catalog}});
  ensure("/schemas", catalog + "." + schema, {{"name", schema}, {"catalog_name", catalog}});
  ensure("/models", options.full_name,
         {{"name", model}, {"catalog_name", catalog}, {"schema_name", schema}});
  const json::value version =
      client.post(std::string(kCatalog) + "/models/versions",
                  json::object{{"model_name", model},
                               {"catalog_name", catalog},
                               {"schema_name", schema},
                               {"source", std::filesystem::absolute(options.path).string()}});
  const std::string number =
      std::to_string(get_int_or_digits(as_object(version, ""), "version").value_or(0));
  client.patch(
      std::string(kCatalog) + "/models/" + options.full_name + "/versions/" + number + "/finalize",
      json::object{{"full_name", options.full_name}, {"version", number}});
  std::cout << options.full_name << " version " << number << '\n';
  return 0;
}

int inspect(const Options& options) {
  const ModelInfo info = inspect_model(options.path);
  const auto row = [](std::string_view name, const auto& value) {
    std::cout << std::left << std::setw(22) << name << value << '\n';
  };
  row("architecture", info.architecture);
  row("task", info.is_embedding ? "llm/v1/embeddings" : "llm/v1/chat");
  row("parameters", info.parameters);
  row("weights", format_bytes(info.weight_bytes));
  row("context", std::to_string(info.context_length) + " tokens");
  row("vocabulary", info.vocab_size);
  row("hidden size", info.hidden_size);
  row("layers", info.num_hidden_layers);
  if (!info.is_embedding) {
    row("KV per token",
        format_bytes(KvCache::bytes_per_token(info.num_hidden_layers, info.num_kv_heads,
                                              info.head_dim, KvType::kF16)));
  }
  return 0;
}

}  // namespace

Run add_models(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("models", "The model registry, and model files");
  command.require_subcommand(1);
  CLI::App* list_command = command.add_subcommand("list", "Registered models");
  CLI::App* register_command =
      command.add_subcommand("register", "Add a model folder or GGUF file as a new version");
  register_command->add_option("name", options->full_name, "catalog.schema.model")->required();
  register_command->add_option("path", options->path, "Model folder or .gguf file")
      ->required()
      ->check(CLI::ExistingPath);
  CLI::App* inspect_command =
      command.add_subcommand("inspect", "What a model folder or GGUF file holds");
  inspect_command->add_option("path", options->path, "Model folder or .gguf file")
      ->required()
      ->check(CLI::ExistingPath);
  options->address.add_options(command);
  return [=] {
    if (list_command->parsed()) return list(*options);
    if (register_command->parsed()) return register_model(*options);
    return inspect(*options);
  };
}

}  // namespace tessera::app
