// `tessera chat`: a conversation with one endpoint, streamed to the terminal.

#include <unistd.h>

#include <iostream>

#include "app/api_client.h"
#include "app/commands.h"
#include "base/error.h"
#include "base/json.h"

namespace tessera::app {
namespace {

struct Options {
  ApiAddress address;
  std::string endpoint = "smollm2-135m-instruct";
  std::string system;
  std::string message;
  std::optional<double> temperature;
  std::optional<int> max_tokens;
};

json::object message_of(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

// Streams the answer to `messages` to stdout and returns its whole text.
std::string answer(ApiClient& client, const Options& options, const json::array& messages) {
  json::object body{{"model", options.endpoint}, {"messages", messages}, {"stream", true}};
  if (options.temperature) body["temperature"] = *options.temperature;
  if (options.max_tokens) body["max_tokens"] = *options.max_tokens;
  std::string text;
  client.stream("/serving-endpoints/chat/completions", body, [&](const http::SseEvent& event) {
    if (event.data == "[DONE]") return false;
    const json::object chunk = parse_json_object(event.data);
    if (const json::object* error = get_object(chunk, "error")) {
      throw Error(ErrorKind::kUpstreamBadGateway,
                  get_string(*error, "message").value_or("the stream broke off"));
    }
    for (const json::value& choice : require_array(chunk, "choices")) {
      const json::object& delta = require_object(as_object(choice, "choices[]"), "delta");
      if (auto piece = get_string(delta, "content")) {
        std::cout << *piece << std::flush;
        text += *piece;
      }
    }
    return true;
  });
  std::cout << std::endl;
  return text;
}

int run(const Options& options) {
  ApiClient client(options.address);
  json::array messages;
  if (!options.system.empty()) messages.push_back(message_of("system", options.system));
  if (!options.message.empty()) {
    messages.push_back(message_of("user", options.message));
    answer(client, options, messages);
    return 0;
  }

  const bool terminal = isatty(STDIN_FILENO);
  if (terminal) {
    std::cout << "Talking to " << options.endpoint << ". /clear starts anew, /exit leaves.\n";
  }
  const std::size_t kept = messages.size();
  std::string line;
  while (true) {
    if (terminal) std::cout << "> " << std::flush;
    if (!std::getline(std::cin, line) || line == "/exit") break;
    if (line == "/clear") {
      messages.erase(messages.begin() + kept, messages.end());
      continue;
    }
    if (line.empty()) continue;
    messages.push_back(message_of("user", line));
    try {
      messages.push_back(message_of("assistant", answer(client, options, messages)));
    } catch (const Error& error) {
      // One failed answer does not end the conversation, but it must not enter the history either.
      messages.pop_back();
      std::cerr << "tessera: " << error.message << '\n';
      if (!terminal) return 1;
    }
  }
  return 0;
}

}  // namespace

Run add_chat(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("chat", "Talk to an endpoint from the terminal");
  options->address.add_options(command);
  command.add_option("endpoint", options->endpoint, "Endpoint to talk to")->capture_default_str();
  command.add_option("--system", options->system, "System message");
  command.add_option("-m,--message", options->message, "Say this, print the answer and leave");
  command.add_option("--temperature", options->temperature, "0 is greedy")
      ->check(CLI::Range(0.0, 2.0));
  command.add_option("--max-tokens", options->max_tokens, "Longest answer in tokens")
      ->check(CLI::PositiveNumber);
  return [options] { return run(*options); };
}

}  // namespace tessera::app
