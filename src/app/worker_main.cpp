// `tessera worker`: one model as an OpenAI-compatible server, alone or started by `tessera serve`.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <iostream>

#include "app/commands.h"
#include "app/worker_process.h"
#include "base/config.h"
#include "base/log.h"
#include "worker/worker.h"

namespace tessera::app {
namespace {

namespace asio = boost::asio;

struct Options {
  WorkerOptions worker;
  std::string weight_format = "stored";
  std::string kv_type = "f16";
  std::string kv_memory;
  std::string drain_timeout = "30s";
  bool no_prefix_cache = false;

  Options() { worker.server.port = 8000; }
};

KvType parse_kv_type(const std::string& text) {
  if (text == "f32") return KvType::kF32;
  if (text == "f16") return KvType::kF16;
  if (text == "bf16") return KvType::kBF16;
  throw Error(ErrorKind::kBadConfiguration, "--kv-type: got '" + text + "', want f32, f16 or bf16");
}

int run(Options& options) {
  const auto drain_timeout = parse_duration(options.drain_timeout, "--drain-timeout");
  EngineOptions& engine = options.worker.engine;
  engine.weight_format = parse_weight_format(options.weight_format);
  engine.kv_type = parse_kv_type(options.kv_type);
  engine.prefix_cache = !options.no_prefix_cache;
  if (!options.kv_memory.empty()) engine.kv_bytes = parse_bytes(options.kv_memory, "--kv-memory");

  asio::io_context io(1);  // one I/O thread: the cores belong to the kernels
  Worker worker(io.get_executor(), options.worker);
  worker.start();
  const bool on_socket = !options.worker.server.unix_path.empty();
  log_info("worker", "ready",
           {{"model", worker.served_model_name()},
            {"at", on_socket ? options.worker.server.unix_path
                             : "http://" + options.worker.server.address + ":" +
                                   std::to_string(worker.port()) + "/v1"}});

  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](auto error, auto) {
    if (error) return;
    signals.async_wait([](auto second, auto) {
      if (!second) std::_Exit(130);  // told twice: leave at once
    });
    asio::co_spawn(io, worker.drain(drain_timeout), [&](std::exception_ptr, int) { io.stop(); });
  });
  io.run();
  return 0;
}

}  // namespace

Run add_worker(CLI::App& app) {
  auto options = std::make_shared<Options>();
  WorkerOptions& worker = options->worker;
  CLI::App& command =
      *app.add_subcommand("worker", "One model folder or GGUF file as an OpenAI-compatible server");
  command.add_option("--model", worker.engine.model_path, "Model folder or .gguf file")
      ->envname("TESSERA_MODEL")
      ->required()
      ->check(CLI::ExistingPath);
  command.add_option("--name", worker.served_model_name,
                     "Name of the model in answers; default: the last part of its path");
  command.add_option("--address", worker.server.address, "Address to listen on")
      ->capture_default_str();
  command.add_option("--port", worker.server.port, "Port; 0: any free one")->capture_default_str();
  command.add_option("--unix-socket", worker.server.unix_path,
                     "Listen on this Unix socket instead");
  command.add_option("--threads", worker.engine.threads, "Compute threads; 0: all cores")
      ->envname("TESSERA_WORKER_THREADS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--weights", options->weight_format,
                  "Weights at run time: stored, f32, bf16, int8 or int4")
      ->envname("TESSERA_WEIGHTS")
      ->capture_default_str();
  command.add_option("--kv-type", options->kv_type, "Keys and values: f32, f16 or bf16")
      ->envname("TESSERA_KV_TYPE")
      ->capture_default_str();
  command
      .add_option("--kv-memory", options->kv_memory,
                  "Key/value memory, e.g. 4GiB; default: fits the machine")
      ->envname("TESSERA_KV_MEMORY");
  command
      .add_option("--max-model-len", worker.engine.max_model_len,
                  "Longest sequence; 0: the model's context")
      ->envname("TESSERA_MAX_MODEL_LEN")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--max-num-seqs", worker.engine.max_num_seqs, "Sequences decoded together")
      ->envname("TESSERA_MAX_NUM_SEQS")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--max-waiting", worker.engine.max_waiting, "Requests queued before 429")
      ->envname("TESSERA_MAX_WAITING")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--max-step-tokens", worker.engine.max_step_tokens,
                  "Token budget of one step; 0: adaptive")
      ->envname("TESSERA_MAX_STEP_TOKENS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--max-output-tokens", worker.max_output_tokens,
                  "Cap on max_tokens; 0: the context is the only bound")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_flag("--no-prefix-cache", options->no_prefix_cache,
                   "Compute shared prefixes again for every request");
  command.add_flag("--parse-special-in-content", worker.parse_special_in_content,
                   "Special tokens spelt out in messages become their ids");
  command.add_flag("--behind-gateway", worker.behind_gateway, "Requests come checked by a gateway");
  command
      .add_option("--drain-timeout", options->drain_timeout,
                  "How long running requests may go on after SIGTERM")
      ->envname("TESSERA_DRAIN_TIMEOUT")
      ->capture_default_str();
  return [options] { return run(*options); };
}

}  // namespace tessera::app
