// `tessera token`: personal access tokens of the running server.

#include <iostream>

#include "app/api_client.h"
#include "app/commands.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

namespace tessera::app {
namespace {

struct Options {
  ApiAddress address;
  std::string comment;
  std::string token_id;
  std::optional<std::int64_t> lifetime_seconds;
};

int create(const Options& options) {
  ApiClient client(options.address);
  json::object body{{"comment", options.comment}};
  if (options.lifetime_seconds) body["lifetime_seconds"] = *options.lifetime_seconds;
  const json::value answer = client.post("/api/2.0/token/create", body);
  // Only the token on stdout, so that it can be captured; it is shown this once.
  std::cout << require_string(as_object(answer, ""), "token_value") << '\n';
  return 0;
}

int list(const Options& options) {
  ApiClient client(options.address);
  const json::value answer = client.get("/api/2.0/token/list");
  for (const json::value& item : require_array(as_object(answer, ""), "token_infos")) {
    const json::object& token = as_object(item, "token_infos[]");
    const std::int64_t expiry = get_int(token, "expiry_time").value_or(-1);
    std::cout << require_string(token, "token_id") << "  created "
              << format_rfc3339(require_int(token, "creation_time")) << "  expires "
              << (expiry < 0 ? "never" : format_rfc3339(expiry)) << "  "
              << get_string(token, "comment").value_or("") << '\n';
  }
  return 0;
}

int revoke(const Options& options) {
  ApiClient client(options.address);
  client.post("/api/2.0/token/delete", json::object{{"token_id", options.token_id}});
  return 0;
}

}  // namespace

Run add_token(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("token", "Access tokens of a running server");
  command.require_subcommand(1);
  CLI::App* create_command = command.add_subcommand("create", "Make a token and print it once");
  create_command->add_option("--comment", options->comment, "What it is for");
  create_command
      ->add_option("--lifetime-seconds", options->lifetime_seconds,
                   "Expires after so long; default: two years")
      ->check(CLI::PositiveNumber);
  CLI::App* list_command = command.add_subcommand("list", "Tokens of the caller");
  CLI::App* revoke_command = command.add_subcommand("revoke", "End a token");
  revoke_command->add_option("token_id", options->token_id, "As `token list` shows it")->required();
  options->address.add_options(command);
  auto chosen = std::make_shared<Run>();
  create_command->callback([=] { *chosen = [=] { return create(*options); }; });
  list_command->callback([=] { *chosen = [=] { return list(*options); }; });
  revoke_command->callback([=] { *chosen = [=] { return revoke(*options); }; });
  return [chosen] { return (*chosen)(); };
}

}  // namespace tessera::app
