// The subcommands of the one binary. Each adds itself, its flags and its environment names to the
// command line; the returned function runs it after parsing, when the CLI::App is gone, and gives
// the exit status.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace tessera::app {

using Run = std::function<int()>;

Run add_serve(CLI::App& app);   // everything: gateway, control, workers
Run add_worker(CLI::App& app);  // one model as an OpenAI-compatible server
Run add_chat(CLI::App& app);    // talk to an endpoint from the terminal
Run add_bench(CLI::App& app);   // measure a model as users compare engines
Run add_models(CLI::App& app);  // list, register, inspect
Run add_token(CLI::App& app);   // create, list, revoke

}  // namespace tessera::app
