// `tessera models`: what the registry holds, adding to it, and a look into model files.

#include <filesystem>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <utility>

#include "app/api_client.h"
#include "app/commands.h"
#include "app/quality.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "engine/model_assets.h"
#include "engine/model_path.h"
#include "models/model.h"
#include "models/plan.h"
#include "text/chat_template.h"

namespace tessera::app {
namespace {

constexpr std::string_view kCatalog = "/api/2.1/unity-catalog";

struct Options {
  ApiAddress address;
  std::string full_name;
  std::string path;
  std::int64_t context = 0;  // 0: the model's own
  std::int64_t concurrency = 1;
  bool as_json = false;
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

// "1235814400" with commas.
std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

std::string format_number(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

bool has_template(const std::filesystem::path& path) {
  std::error_code ignored;
  if (path.extension() == ".json") {
    return find_chat_template(path.parent_path().empty() ? "." : path.parent_path()).has_value();
  }
  return has_chat_template(path);
}

// --- inspect -----------------------------------------------------------------------------------

constexpr std::pair<std::string_view, WeightFormat> kFormats[] = {
    {"stored", WeightFormat::kStored}, {"f32", WeightFormat::kF32},   {"bf16", WeightFormat::kBF16},
    {"int8", WeightFormat::kInt8},     {"int4", WeightFormat::kInt4},
};

// Why the model cannot be served, or nothing. Its configuration has been read without complaint.
std::string reason_against(const ModelPlan& plan, const std::string& path) {
  if (!plan.has_weights) return "";
  try {
    inspect_model(path);
  } catch (const Error& error) {
    return error.message;
  }
  return "";
}

std::string positions_text(const ModelConfig& config) {
  if (config.alibi_bias_max) return "ALiBi";
  if (config.architecture == Architecture::kBert || config.learned_positions) return "learned";
  const char* name = "rope";
  switch (config.rope_scaling.type) {
    case RopeType::kDefault:
      return name;
    case RopeType::kLinear:
      name = "rope, linear";
      break;
    case RopeType::kDynamic:
      name = "rope, dynamic";
      break;
    case RopeType::kYarn:
      name = "rope, yarn";
      break;
    case RopeType::kLlama3:
      name = "rope, llama3";
      break;
    case RopeType::kNtk:
      name = "rope, ntk";
      break;
  }
  return std::string(name) + " x" + format_number(config.rope_scaling.factor);
}

json::object describe(const ModelPlan& plan, const Options& options) {
  const ModelConfig& config = plan.config;
  const std::int64_t context = options.context > 0 ? options.context : config.context_length;
  json::object out;
  out["architecture"] = std::string(architecture_name(config.architecture));
  const std::string reason = reason_against(plan, options.path);
  out["supported"] = reason.empty();
  if (!reason.empty()) out["reason"] = reason;
  const bool chat = has_template(options.path);
  out["task"] = config.is_encoder() ? "llm/v1/embeddings"
                : chat              ? "llm/v1/chat"
                                    : "llm/v1/completions";
  out["has_weights"] = plan.has_weights;
  out["parameters"] = plan.parameters;
  out["active_parameters"] = plan.active_parameters;
  if (!plan.quantization.empty()) out["quantization"] = plan.quantization;
  json::object types;
  for (const auto& [type, count] : plan.dtypes) types[type] = count;
  out["dtypes"] = std::move(types);
  out["stored_bytes"] = plan.stored_bytes;
  out["context_length"] = config.context_length;
  out["positions"] = positions_text(config);
  if (config.sliding_window) out["sliding_window"] = *config.sliding_window;
  out["vocab_size"] = config.vocab_size;
  out["hidden_size"] = config.hidden_size;
  out["num_hidden_layers"] = config.num_hidden_layers;
  out["num_attention_heads"] = config.num_attention_heads;
  out["num_key_value_heads"] = config.num_key_value_heads;
  out["head_dim"] = config.head_dim;
  if (config.num_local_experts > 0) {
    out["num_local_experts"] = config.num_local_experts;
    out["num_experts_per_tok"] = config.num_experts_per_tok;
  }
  out["chat_template"] = chat;
  out["kv_bytes_per_token"] = plan.kv_bytes_per_token(KvType::kF16);
  const std::int64_t kv = plan.kv_bytes_per_token(KvType::kF16) * context * options.concurrency;
  json::object memory;
  memory["context"] = context;
  memory["concurrency"] = options.concurrency;
  memory["kv_bytes"] = kv;
  json::object formats;
  for (const auto& [name, format] : kFormats) {
    const std::int64_t weights = plan.weight_bytes(format);
    formats[name] = {{"weight_bytes", weights}, {"total_bytes", (weights + kv) / 10 * 11}};
  }
  memory["weights"] = std::move(formats);
  out["memory"] = std::move(memory);
  return out;
}

void print(const ModelPlan& plan, const json::object& facts) {
  const auto row = [](std::string_view name, const auto& value) {
    std::cout << std::left << std::setw(22) << name << value << '\n';
  };
  const auto text = [&](const char* key) { return std::string(facts.at(key).as_string()); };
  const auto number = [&](const char* key) { return facts.at(key).to_number<std::int64_t>(); };
  row("architecture", text("architecture"));
  row("supported", facts.contains("reason") ? "no: " + text("reason") : "yes");
  row("task", text("task"));
  row("parameters", grouped(plan.parameters) +
                        (plan.active_parameters == plan.parameters
                             ? ""
                             : " (" + grouped(plan.active_parameters) + " active per token)"));
  std::string types;
  for (const auto& [type, count] : plan.dtypes) {
    types += (types.empty() ? "" : ", ") + type + " " + grouped(count);
  }
  row(plan.has_weights ? "stored as" : "would be stored as",
      types + (plan.quantization.empty() ? "" : " (" + plan.quantization + ")"));
  row("in files", format_bytes(plan.stored_bytes) + (plan.has_weights ? "" : " (no weights here)"));
  row("context", std::to_string(number("context_length")) + " tokens");
  row("positions", text("positions") + (facts.contains("sliding_window")
                                            ? ", window " + std::to_string(number("sliding_window"))
                                            : ""));
  row("vocabulary", number("vocab_size"));
  row("hidden size", number("hidden_size"));
  row("layers", number("num_hidden_layers"));
  row("heads", std::to_string(number("num_attention_heads")) + ", " +
                   std::to_string(number("num_key_value_heads")) + " for keys, of " +
                   std::to_string(number("head_dim")));
  row("chat template", facts.at("chat_template").as_bool() ? "yes" : "no");
  const json::object& memory = facts.at("memory").as_object();
  if (!plan.config.is_encoder()) row("KV per token", format_bytes(number("kv_bytes_per_token")));
  std::cout << "\nMemory for " << memory.at("concurrency") << " x " << memory.at("context")
            << " tokens (weights + keys and values + 10 %)\n";
  for (const auto& [name, format] : memory.at("weights").as_object()) {
    const auto of = [&](const char* key) {
      return format_bytes(format.at(key).to_number<std::int64_t>());
    };
    row("  " + std::string(name),
        of("total_bytes") + " = 1.1 x (" + of("weight_bytes") + " + " +
            format_bytes(memory.at("kv_bytes").to_number<std::int64_t>()) + ")");
  }
}

int inspect(const Options& options) {
  ModelPlan plan;
  try {
    plan = plan_model(resolve_model_path(options.path));
  } catch (const Error& error) {
    // Well-formed, but nothing that runs here: an answer, not a failure.
    if (error.kind != ErrorKind::kUnsupportedModel) throw;
    if (options.as_json) {
      std::cout << json::serialize(json::object{{"supported", false}, {"reason", error.message}})
                << '\n';
    } else {
      std::cout << std::left << std::setw(22) << "supported"
                << "no: " << error.message << '\n';
    }
    return 0;
  }
  const json::object facts = describe(plan, options);
  if (options.as_json) {
    std::cout << json::serialize(facts) << '\n';
  } else {
    print(plan, facts);
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
  inspect_command
      ->add_option("path", options->path, "Model folder, .gguf file, or a bare config.json")
      ->required()
      ->check(CLI::ExistingPath);
  inspect_command
      ->add_option("--context", options->context,
                   "Tokens per sequence in the memory estimate; 0: the model's context")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 32))
      ->capture_default_str();
  inspect_command
      ->add_option("--concurrency", options->concurrency, "Sequences in the memory estimate")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  inspect_command->add_flag("--json", options->as_json, "One JSON object");
  auto quality = std::make_shared<QualityOptions>();
  quality->formats = {"stored", "f32", "bf16", "int8", "int4"};
  CLI::App* quality_command = command.add_subcommand(
      "quality", "What the run-time weight formats cost: divergence and perplexity on a text");
  quality_command->add_option("path", quality->path, "Model folder or .gguf file")
      ->required()
      ->check(CLI::ExistingPath);
  quality_command->add_option("--text", quality->text_path, "UTF-8 text file")
      ->required()
      ->check(CLI::ExistingFile);
  quality_command->add_option("--weights", quality->formats, "Formats to measure")
      ->delimiter(',')
      ->capture_default_str();
  quality_command->add_option("--window", quality->window, "Tokens that see each other")
      ->check(CLI::Range(2, 8192))
      ->capture_default_str();
  quality_command->add_option("--max-tokens", quality->max_tokens, "Of the text")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  quality_command->add_option("--threads", quality->threads, "Compute threads; 0: all cores")
      ->check(CLI::NonNegativeNumber);
  options->address.add_options(command);
  auto chosen = std::make_shared<Run>([=] { return inspect(*options); });
  list_command->callback([=] { *chosen = [=] { return list(*options); }; });
  register_command->callback([=] { *chosen = [=] { return register_model(*options); }; });
  quality_command->callback([=] { *chosen = [=] { return measure_quality(*quality); }; });
  return [chosen] { return (*chosen)(); };
}

}  // namespace tessera::app
