// `tessera serve`: every object of the service tower as a local, bottom first; references go up,
// destruction reverses it.

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <iostream>
#include <thread>

#include "api/error_json.h"
#include "app/api_client.h"
#include "app/commands.h"
#include "app/version.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/snapshot.h"
#include "control/bootstrap.h"
#include "control/control.h"
#include "control/data_folder.h"
#include "engine/model_assets.h"
#include "gateway/authenticate.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "http/sse.h"
#include "models/model.h"
#include "store/database.h"

namespace tessera::app {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

struct Options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string data_dir, models_dir;
  std::string tls_certificate, tls_key;
  bool allow_plaintext = false;
  // Half of the cores: the others belong to the workers and to the rows of usage, and requests wait
  // longest where all cores are taken (benchmarks/RESULTS.md).
  int io_threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency() / 2, 1u, 16u));
  std::string drain_timeout = "30s";
  std::string worker_hang_timeout = "60s";
  std::string worker_executable;
  int worker_threads = 0;
  std::string kv_memory;
  std::string support_contact;
  bool access_log = false;
  std::vector<std::string> allow_private_upstreams;
  std::string upstream_ca_file;
  std::string http_proxy, https_proxy, no_proxy;  // empty: as the environment says
};

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address == "localhost";
}

// No default password and no plaintext on a network, unless somebody says so.
void check(const Options& options) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    throw Error(ErrorKind::kBadConfiguration,
                "--tls-certificate and --tls-key belong together; got only one of them");
  }
  if (!is_loopback(options.address) && options.tls_certificate.empty() &&
      !options.allow_plaintext) {
    throw Error(ErrorKind::kBadConfiguration,
                "--address " + options.address +
                    " is not loopback: give TLS files (--tls-certificate, --tls-key), or accept "
                    "that tokens cross the network in plain text (--allow-plaintext)");
  }
}

http::ProxySettings proxy_settings(const Options& options) {
  if (options.http_proxy.empty() && options.https_proxy.empty()) {
    return http::ProxySettings::from_environment();
  }
  return http::ProxySettings(options.http_proxy, options.https_proxy, options.no_proxy);
}

control::WorkerCommand worker_command(const Options& options) {
  return [options](const control::WorkerSpec& spec) {
    std::vector<std::string> argv{options.worker_executable,
                                  "worker",
                                  "--model",
                                  spec.model_path.string(),
                                  "--unix-socket",
                                  spec.socket_path.string(),
                                  "--name",
                                  spec.model_id,
                                  "--behind-gateway"};
    // What an entity's environment says of itself goes before what was said of all.
    const auto says = [&spec](const char* name) { return spec.environment.contains(name); };
    if (!says("TESSERA_WORKER_THREADS")) {
      argv.insert(argv.end(), {"--threads", std::to_string(options.worker_threads)});
    }
    if (spec.max_model_len) {
      argv.insert(argv.end(), {"--max-model-len", std::to_string(*spec.max_model_len)});
    }
    if (!options.kv_memory.empty() && !says("TESSERA_KV_MEMORY"))
      argv.insert(argv.end(), {"--kv-memory", options.kv_memory});
    return argv;
  };
}

control::ModelFacts inspect(const fs::path& path) {
  const ModelInfo info = inspect_model(path);
  control::ModelFacts facts;
  facts.architecture = info.architecture;
  facts.task = info.is_embedding         ? catalog::Task::kEmbeddings
               : has_chat_template(path) ? catalog::Task::kChat
                                         : catalog::Task::kCompletions;
  facts.context_length = info.context_length;
  facts.parameters = info.parameters;
  return facts;
}

// The first .gguf file of a folder, or the folder itself.
fs::path model_file(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".gguf") return entry.path();
  }
  return folder;
}

control::Options control_options(const Options& options, const std::string& url) {
  control::Options control;
  control.data_folder = options.data_dir;
  control.host_url = url;
  control.support_contact = options.support_contact;
  control.worker_command = worker_command(options);
  control.unresponsive_after = parse_duration(options.worker_hang_timeout, "--worker-hang-timeout");
  control.inspect = inspect;
  const fs::path models = options.models_dir;
  control.default_models = control::shipped_default_models(
      model_file(models / "smollm2_135m_instruct"), models / "all_minilm_l6_v2");
  return control;
}

http::Handler text_handler(std::function<http::Response(const http::Request&)> answer) {
  return [answer = std::move(answer)](http::Request request) -> asio::awaitable<http::Response> {
    co_return answer(request);
  };
}

// Routes that belong to no room, and how errors look outside the gateway's paths.
void add_process_routes(http::Router& router, const control::Control& control,
                        const catalog::SnapshotHolder& snapshots, const Metrics& metrics) {
  router.add("GET", "/health", text_handler([](const http::Request&) {
               return http::Response::json(R"({"status":"alive"})");
             }));
  router.add("GET", "/ready", text_handler([&control](const http::Request&) {
               if (!control.ready()) {
                 Error error(ErrorKind::kNotReady, "No endpoint is ready yet.");
                 error.retry_after_s = 1;
                 throw error;
               }
               return http::Response::json(R"({"status":"ready"})");
             }));
  router.add("GET", "/metrics", text_handler([&](const http::Request& request) {
               const auto snapshot = snapshots.get();
               gateway::authenticate(request.headers, *snapshot, now_ms());
               http::Response response;
               response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
               response.body = metrics.text();
               return response;
             }));
  router.present_errors(
      "/",
      [](const Error& error, const http::Request& request) {
        http::Response response =
            http::Response::json(api::error_json(error, api::ErrorStyle::kDatabricks, request.id),
                                 http_status(error.kind));
        for (auto& [name, value] : api::retry_headers(error)) response.headers.set(name, value);
        return response;
      },
      [](const Error& error, const http::Request&) {
        return http::sse_data(api::stream_error_json(error));
      });
}

void print_greeting(const std::string& url, const Options& options,
                    const control::Control& control) {
  const std::string token_file = control.admin_token_file().string();
  std::cout << "Tessera " << kVersion << " serves on " << url << "\n"
            << "  data folder  " << options.data_dir << "\n"
            << "  admin token  " << token_file << "\n\n"
            << "A first request:\n"
            << "  curl -s " << url << "/serving-endpoints/chat/completions -H \"Authorization: "
            << "Bearer $(cat " << token_file << ")\" -H 'Content-Type: application/json' -d "
            << "'{\"model\": \"smollm2-135m-instruct\", \"messages\": [{\"role\": \"user\", "
            << "\"content\": \"What is the capital of France? Answer in one word.\"}], "
            << "\"max_tokens\": 64, \"temperature\": 0}'\n"
            << std::endl;
}

// No endpoint is still on its way up: the first request may come.
bool all_settled(const catalog::Snapshot& snapshot) {
  return std::ranges::all_of(snapshot.endpoints(), [](const auto& endpoint) {
    return endpoint->preconfigured || endpoint->suspended || endpoint->ready() ||
           (!endpoint->active && !endpoint->pending) ||
           endpoint->config_update == catalog::ConfigUpdate::kUpdateFailed;
  });
}

// Runs `work` there while this thread waits.
template <class T>
T wait_for(const asio::any_io_executor& executor, asio::awaitable<T> work) {
  return asio::co_spawn(executor, std::move(work), asio::use_future).get();
}

int run(Options options) {
  check(options);
  const auto drain_timeout = parse_duration(options.drain_timeout, "--drain-timeout");
  if (options.models_dir.empty()) {
    options.models_dir = (fs::path(options.data_dir) / "models").string();
  }

  const control::DataFolder folder(options.data_dir);
  store::Database database({.path = folder.database()});
  Metrics metrics;
  catalog::SnapshotHolder snapshots;
  http::EventLoops loops(options.io_threads);

  http::Router router;
  http::ServerOptions server_options;
  server_options.address = options.address;
  server_options.port = options.port;
  if (!options.tls_certificate.empty()) {
    server_options.tls = http::TlsFiles{options.tls_certificate, options.tls_key};
  }
  if (options.access_log) {
    server_options.access_log = [](const http::AccessRecord& record) {
      log_info("access", record.method,
               {{"path", record.path},
                {"status", record.status},
                {"us", record.duration_us},
                {"bytes", record.response_bytes},
                {"request_id", record.request_id}});
    };
  }
  // Bound before the workers start, so that a taken port is noticed at once.
  http::Server server(loops, router, server_options);
  const std::string url = std::string(server_options.tls ? "https" : "http") + "://" +
                          (options.address == "0.0.0.0" ? "127.0.0.1" : options.address) + ":" +
                          std::to_string(server.port());

  control::Control control(control_options(options, url), database, snapshots, loops.first());
  control.start();
  http::ClientOptions client_options;
  client_options.ca_file = options.upstream_ca_file;
  client_options.addresses = http::AddressPolicy(options.allow_private_upstreams);
  client_options.proxy = proxy_settings(options);
  client_options.on_senders_loop = true;
  http::Client client(loops.first(), client_options);
  gateway::Gateway gateway(snapshots, client, metrics, [&control](catalog::UsageRecord&& record) {
    control.record_usage(std::move(record));
  });
  gateway.mount(router);
  control.register_routes(router);
  add_process_routes(router, control, snapshots, metrics);
  server.start();

  // This thread waits for signals; the greeting comes when the first request would be answered.
  asio::io_context main_thread;
  asio::signal_set signals(main_thread, SIGINT, SIGTERM);
  signals.async_wait([&](auto, auto) { main_thread.stop(); });
  const auto begin = std::chrono::steady_clock::now();
  while (!main_thread.stopped() && !all_settled(*snapshots.get()) &&
         std::chrono::steady_clock::now() - begin < std::chrono::seconds(10)) {
    main_thread.run_for(std::chrono::milliseconds(10));
  }
  if (!main_thread.stopped()) {
    print_greeting(url, options, control);
    main_thread.run();
  }

  log_info("app", "draining", {{"timeout", format_duration(drain_timeout)}});
  main_thread.restart();
  signals.async_wait([](auto error, auto) {
    if (!error) std::_Exit(130);  // told twice: leave at once; the workers go with us
  });
  std::jthread impatience([&main_thread] { main_thread.run(); });
  gateway.drain();
  const int cut = wait_for(loops.first(), server.drain(drain_timeout));
  wait_for(loops.first(), control.stop());
  signals.cancel();
  log_info("app", "stopped", {{"requests_cut", cut}});
  return 0;
}

}  // namespace

Run add_serve(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->data_dir = default_data_dir();
  options->worker_executable = fs::read_symlink("/proc/self/exe").string();
  CLI::App& command = *app.add_subcommand("serve", "Serve: gateway, control plane and workers");
  command.add_option("--address", options->address, "Address to listen on")
      ->envname("TESSERA_ADDRESS")
      ->capture_default_str();
  command.add_option("--port", options->port, "Port; 0: any free one")
      ->envname("TESSERA_PORT")
      ->capture_default_str();
  command.add_option("--data-dir", options->data_dir, "Database, admin token, sockets")
      ->envname("TESSERA_DATA_DIR")
      ->capture_default_str();
  command
      .add_option("--models-dir", options->models_dir,
                  "Folder of the default models; default: models below the data folder")
      ->envname("TESSERA_MODELS_DIR");
  command.add_option("--tls-certificate", options->tls_certificate, "PEM chain")
      ->envname("TESSERA_TLS_CERTIFICATE");
  command.add_option("--tls-key", options->tls_key, "PEM private key")->envname("TESSERA_TLS_KEY");
  command
      .add_flag("--allow-plaintext", options->allow_plaintext,
                "Listen on a network address without TLS")
      ->envname("TESSERA_ALLOW_PLAINTEXT");
  command
      .add_option("--io-threads", options->io_threads,
                  "Threads of the gateway, each with the connections that it took")
      ->envname("TESSERA_IO_THREADS")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command
      .add_option("--drain-timeout", options->drain_timeout,
                  "How long running requests may go on after SIGTERM")
      ->envname("TESSERA_DRAIN_TIMEOUT")
      ->capture_default_str();
  command
      .add_option("--worker-executable", options->worker_executable,
                  "Program run as `PROGRAM worker …` for each served entity; default: this one")
      ->envname("TESSERA_WORKER_EXECUTABLE");
  command
      .add_option("--worker-threads", options->worker_threads,
                  "Compute threads of each worker; 0: all cores")
      ->envname("TESSERA_WORKER_THREADS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--worker-hang-timeout", options->worker_hang_timeout,
                  "A worker silent for this long is killed and started again; 0: never")
      ->envname("TESSERA_WORKER_HANG_TIMEOUT")
      ->capture_default_str();
  command
      .add_option("--kv-memory", options->kv_memory,
                  "Key/value memory of each worker, e.g. 4GiB; default: fits the machine")
      ->envname("TESSERA_KV_MEMORY");
  command
      .add_option("--support-contact", options->support_contact,
                  "Named where users are told to ask for help")
      ->envname("TESSERA_SUPPORT_CONTACT");
  command
      .add_option("--allow-private-upstreams", options->allow_private_upstreams,
                  "CIDRs, addresses or hosts that external models may have besides public ones")
      ->envname("TESSERA_ALLOW_PRIVATE_UPSTREAMS")
      ->delimiter(',');
  command
      .add_option("--upstream-ca-file", options->upstream_ca_file,
                  "PEM of authorities trusted for providers besides the system's")
      ->envname("TESSERA_UPSTREAM_CA_FILE");
  command
      .add_option("--http-proxy", options->http_proxy,
                  "Proxy for http:// providers; default: as HTTP_PROXY says")
      ->envname("TESSERA_HTTP_PROXY");
  command
      .add_option("--https-proxy", options->https_proxy,
                  "Proxy for https:// providers; default: as HTTPS_PROXY says")
      ->envname("TESSERA_HTTPS_PROXY");
  command
      .add_option("--no-proxy", options->no_proxy,
                  "Hosts called directly, with --http-proxy or --https-proxy")
      ->envname("TESSERA_NO_PROXY");
  command.add_flag("--access-log", options->access_log, "One log line per request")
      ->envname("TESSERA_ACCESS_LOG");
  return [options] { return run(*options); };
}

}  // namespace tessera::app
