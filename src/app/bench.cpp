// `tessera bench`: a model measured as users compare engines, or any OpenAI-compatible server
// under the same load.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <random>

#include "app/commands.h"
#include "app/load.h"
#include "app/worker_process.h"
#include "base/error.h"
#include "base/json.h"
#include "engine/engine.h"

namespace tessera::app {
namespace {

struct Options {
  std::string model_path;
  std::string url, model_name, token;  // measure a running server instead
  int vocab_size = 0;
  std::string weight_format = "stored";
  int threads = 0;
  int prompt_tokens = 512;
  int generate_tokens = 128;
  int repetitions = 5;
  std::vector<int> clients{1, 4, 16, 32};
  int load_prompt_tokens = 128;
  int load_generate_tokens = 64;
  int requests_per_client = 2;
  bool engine_only = false, load_only = false, embeddings = false, json = false;
};

// Numbers under their names; printed as one JSON object with --json.
using Report = json::object;

double median(std::vector<double> values) { return percentile(std::move(values), 50); }

std::vector<std::int32_t> random_tokens(int count, int vocab_size, std::mt19937_64& random) {
  std::uniform_int_distribution<std::int32_t> id(vocab_size / 10, vocab_size * 9 / 10);
  std::vector<std::int32_t> ids(count);
  for (auto& token : ids) token = id(random);
  return ids;
}

// Runs one request to its end and returns its timings.
GenerationTimings generate(Engine& engine, std::vector<std::int32_t> prompt, int max_tokens) {
  std::mutex mutex;
  std::condition_variable done;
  std::optional<GenerationEvent> last;
  GenerationRequest request;
  request.prompt_token_ids = std::move(prompt);
  request.sampling.temperature = 0;
  request.sampling.max_tokens = max_tokens;
  request.sampling.ignore_eos = true;
  request.on_event = [&](GenerationEvent event) {
    if (!event.finished && !event.error) return;
    std::lock_guard lock(mutex);
    last = std::move(event);
    done.notify_one();
  };
  const Engine::Handle handle = engine.generate(std::move(request));
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return last.has_value(); });
  if (last->error) throw *last->error;
  return last->timings;
}

double embed_ms(Engine& engine, std::vector<std::int32_t> input) {
  std::mutex mutex;
  std::condition_variable done;
  std::optional<Result<std::vector<std::vector<float>>>> result;
  const auto begin = std::chrono::steady_clock::now();
  EmbeddingRequest request;
  request.inputs.push_back(std::move(input));
  request.on_done = [&](Result<std::vector<std::vector<float>>> value) {
    std::lock_guard lock(mutex);
    result.emplace(std::move(value));
    done.notify_one();
  };
  const Engine::Handle handle = engine.embed(std::move(request));
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return result.has_value(); });
  result->value();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

EngineOptions engine_options(const Options& options) {
  EngineOptions engine;
  engine.model_path = options.model_path;
  engine.weight_format = parse_weight_format(options.weight_format);
  engine.threads = options.threads;
  engine.prefix_cache = false;  // every run computes everything
  return engine;
}

void measure_engine(const Options& options, Report& report) {
  const auto begin = std::chrono::steady_clock::now();
  Engine engine(engine_options(options));
  const ModelInfo& info = engine.info();
  std::mt19937_64 random(1);
  report["architecture"] = info.architecture;
  report["parameters"] = info.parameters;
  report["weight_bytes"] = info.weight_bytes;
  report["load_seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (info.is_embedding) {
    for (int tokens : {128, std::min(512, info.context_length)}) {
      std::vector<double> ms;
      for (int i = 0; i < options.repetitions; ++i) {
        ms.push_back(embed_ms(engine, random_tokens(tokens, info.vocab_size, random)));
      }
      report["embeddings_per_second_at_" + std::to_string(tokens)] = 1000 / median(ms);
    }
    return;
  }
  std::vector<double> prompt_rate, generate_rate;
  generate(engine, random_tokens(16, info.vocab_size, random), 4);  // touch everything once
  for (int i = 0; i < options.repetitions; ++i) {
    auto prompt = random_tokens(options.prompt_tokens, info.vocab_size, random);
    prompt_rate.push_back(options.prompt_tokens * 1000.0 /
                          generate(engine, std::move(prompt), 1).prefill_ms);
    const auto timings =
        generate(engine, random_tokens(1, info.vocab_size, random), options.generate_tokens + 1);
    generate_rate.push_back(options.generate_tokens * 1000.0 / timings.decode_ms);
  }
  report["prompt_tokens_per_second"] = median(prompt_rate);
  report["generated_tokens_per_second"] = median(generate_rate);
}

void measure_load(const Options& options, const http::Origin& origin, const std::string& base_path,
                  int vocab_size, bool embeddings, Report& report) {
  json::array& rows = report["load"].emplace_array();
  for (int clients : options.clients) {
    LoadOptions load;
    load.origin = origin;
    load.base_path = base_path;
    load.token = options.token;
    load.model = options.model_name;
    load.clients = clients;
    load.requests_per_client = options.requests_per_client;
    load.prompt_tokens = options.load_prompt_tokens;
    load.max_tokens = options.load_generate_tokens;
    load.vocab_size = vocab_size;
    load.embeddings = embeddings;
    load.seed = clients;
    const LoadResult result = run_load(load);
    Report row{{"clients", clients},
               {"ttft_p50_ms", percentile(result.ttft_ms, 50)},
               {"ttft_p95_ms", percentile(result.ttft_ms, 95)}};
    if (embeddings) {
      row["inputs_per_second"] = result.answers / result.seconds;
    } else {
      row["tokens_per_second"] = result.generated_per_second();
      row["itl_p50_ms"] = percentile(result.itl_ms, 50);
      row["itl_p99_ms"] = percentile(result.itl_ms, 99);
      row["itl_max_ms"] = percentile(result.itl_ms, 100);
    }
    row["failures"] = result.failures;
    if (result.failures) row["first_failure"] = result.first_failure;
    rows.push_back(std::move(row));
  }
}

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (!value.is_double()) return to_json(value);
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, value.get_double() < 10 ? "%.2f" : "%.1f",
                value.get_double());
  return buffer;
}

void print_table(const Report& report) {
  for (const auto& [name, value] : report) {
    if (!value.is_array()) {
      std::printf("%-34s %s\n", std::string(name).c_str(), text_of(value).c_str());
      continue;
    }
    for (std::size_t i = 0; i < value.get_array().size(); ++i) {
      const json::object& row = value.get_array()[i].get_object();
      if (i == 0) {
        for (const auto& cell : row) std::printf("%18s", std::string(cell.key()).c_str());
        std::printf("\n");
      }
      for (const auto& cell : row) std::printf("%18s", text_of(cell.value()).c_str());
      std::printf("\n");
    }
  }
}

int run(Options options) {
  if (options.url.empty() == options.model_path.empty()) {
    throw Error(ErrorKind::kBadConfiguration, "bench: give either --model PATH or --url URL");
  }
  Report report;
  if (!options.url.empty()) {
    if (options.vocab_size == 0) {
      throw Error(ErrorKind::kBadConfiguration,
                  "bench: --url needs --vocab-size for random prompts");
    }
    auto [origin, path] = http::parse_url(options.url);
    measure_load(options, origin, path == "/" ? "" : path, options.vocab_size, options.embeddings,
                 report);
  } else {
    if (!options.load_only) measure_engine(options, report);
    if (!options.engine_only) {
      const ModelInfo info = inspect_model(options.model_path);
      WorkerProcess worker(options.model_path, options.weight_format, options.threads);
      options.model_name = worker.model_name();
      measure_load(options, worker.origin(), "/v1", info.vocab_size, info.is_embedding, report);
    }
  }
  if (options.json) {
    std::printf("%s\n", to_json(report).c_str());
  } else {
    print_table(report);
  }
  return 0;
}

}  // namespace

Run add_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand(
      "bench", "Measure a model (prompt, generation, served load) or a running server");
  command.add_option("--model", options->model_path, "Model folder or .gguf file")
      ->check(CLI::ExistingPath);
  command.add_option("--url", options->url,
                     "Base URL of an OpenAI-compatible server to put under load, e.g. "
                     "http://127.0.0.1:8000/v1");
  command.add_option("--model-name", options->model_name, "`model` sent to --url");
  command.add_option("--token", options->token, "Access token for --url")->envname("TESSERA_TOKEN");
  command.add_option("--vocab-size", options->vocab_size, "Vocabulary of the model behind --url");
  command.add_flag("--embeddings", options->embeddings, "--url serves embeddings");
  command.add_option("--weights", options->weight_format, "stored, f32, bf16, int8 or int4")
      ->capture_default_str();
  command.add_option("--threads", options->threads, "Compute threads; 0: all cores");
  command.add_option("--prompt", options->prompt_tokens, "Prompt length of the engine run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--generate", options->generate_tokens, "Tokens generated by the engine run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--repetitions", options->repetitions, "Engine runs; the median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--clients", options->clients, "Clients of the served load")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--requests", options->requests_per_client, "Requests of each client")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--load-prompt", options->load_prompt_tokens, "Prompt length under load")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--load-generate", options->load_generate_tokens, "Tokens per request under load")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--engine-only", options->engine_only, "No served load");
  command.add_flag("--load-only", options->load_only, "Only the served load");
  command.add_flag("--json", options->json, "One JSON object instead of a table");
  return [options] { return run(*options); };
}

}  // namespace tessera::app
