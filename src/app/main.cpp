#include <csignal>
#include <exception>
#include <iostream>
#include <utility>

#include "app/commands.h"
#include "app/version.h"
#include "base/error.h"

namespace {

using tessera::app::Run;

// The chosen command, or `status` for the process to end with. The description of all flags is gone
// before the command runs.
Run parse(int argc, char** argv, int& status) {
  using namespace tessera::app;
  CLI::App app{
      "Tessera serves foundation models: one governed, OpenAI-compatible API over local models,\n"
      "provisioned-throughput endpoints and external providers.\n"
      "Every flag can also be given as an environment variable (shown in brackets) or in a TOML\n"
      "file named by --config, in a section called like the subcommand."};
  app.name("tessera");
  app.set_version_flag("--version", std::string(kVersion));
  app.set_config("--config", "", "TOML file with flags")->envname("TESSERA_CONFIG");
  app.require_subcommand(1);
  app.fallthrough();

  struct Command {
    const char* name;
    Run run;
  };
  Command commands[] = {
      {"serve", add_serve(app)}, {"worker", add_worker(app)}, {"chat", add_chat(app)},
      {"bench", add_bench(app)}, {"models", add_models(app)}, {"token", add_token(app)},
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error);
    return nullptr;
  }
  for (Command& command : commands) {
    if (app.got_subcommand(command.name)) return std::move(command.run);
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a client that left is an error code, not the end of us
  int status = 0;
  try {
    const Run run = parse(argc, argv, status);
    return run ? run() : status;
  } catch (const tessera::Error& error) {
    std::cerr << "tessera: " << error.message << '\n';
    return error.kind == tessera::ErrorKind::kBadConfiguration ? 2 : 1;
  } catch (const std::exception& error) {
    std::cerr << "tessera: " << error.what() << '\n';
    return 1;
  }
}
