#include "app/api_client.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::app {
namespace {

constexpr std::size_t kMaxAnswerBytes = 64u << 20;

std::string read_admin_token(const std::string& data_dir) {
  const auto path = std::filesystem::path(data_dir) / "admin-token";
  std::ifstream file(path);
  std::string token;
  if (!(file >> token)) {
    throw Error(ErrorKind::kBadConfiguration,
                "No token: give --token or TESSERA_TOKEN, or run where " + path.string() +
                    " can be read (written by the first `tessera serve`).");
  }
  return token;
}

// The server's own words, whichever of its two error shapes they come in.
[[noreturn]] void throw_server_error(int status, const std::string& body) {
  std::string message = body;
  try {
    const json::object answer = parse_json_object(body);
    if (auto text = get_string(answer, "message")) message = *text;
    if (const json::object* error = get_object(answer, "error")) {
      if (auto text = get_string(*error, "message")) message = *text;
    }
  } catch (const Error&) {
    // Not JSON, so not from Tessera: the raw text says more than nothing.
  }
  throw Error(ErrorKind::kUpstreamBadGateway,
              "the server answered " + std::to_string(status) + ": " + message);
}

}  // namespace

std::string default_data_dir() {
  if (const char* dir = std::getenv("TESSERA_DATA_DIR")) return dir;
  const char* home = std::getenv("HOME");
  return (std::filesystem::path(home ? home : ".") / ".tessera").string();
}

void ApiAddress::add_options(CLI::App& command) {
  data_dir = default_data_dir();
  command.add_option("--host", host, "URL of the server")->envname("TESSERA_HOST");
  command.add_option("--token", token, "Access token; default: the admin token of the data folder")
      ->envname("TESSERA_TOKEN");
  command.add_option("--data-dir", data_dir, "Data folder, where the admin token is")
      ->envname("TESSERA_DATA_DIR");
}

struct ApiClient::Impl {
  boost::asio::io_context io;
  http::Client client{io.get_executor()};
  http::Origin origin;
  std::string base_path, token;

  // Runs one awaitable to its end on this thread.
  template <class T>
  T wait(boost::asio::awaitable<T> work) {
    std::exception_ptr failure;
    std::optional<T> result;
    io.restart();
    boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr error, T value) {
      failure = error;
      result = std::move(value);
    });
    io.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }

  http::ClientRequest request(std::string method, std::string_view path, std::string body) {
    http::ClientRequest request;
    request.origin = origin;
    request.method = std::move(method);
    request.target = base_path + std::string(path);
    request.headers.set("Authorization", "Bearer " + token);
    if (!body.empty()) request.headers.set("Content-Type", "application/json");
    request.body = std::move(body);
    return request;
  }

  boost::asio::awaitable<std::string> fetch(http::ClientRequest request) {
    auto response = co_await client.send(std::move(request));
    std::string body = co_await http::read_all(*response.body, kMaxAnswerBytes);
    if (response.status >= 400) throw_server_error(response.status, body);
    co_return body;
  }

  boost::asio::awaitable<bool> run_stream(http::ClientRequest request,
                                          std::function<bool(const http::SseEvent&)> on_event) {
    auto response = co_await client.send(std::move(request));
    if (response.status >= 400) {
      throw_server_error(response.status, co_await http::read_all(*response.body, kMaxAnswerBytes));
    }
    http::SseParser parser;
    while (auto piece = co_await response.body->next()) {
      for (const http::SseEvent& event : parser.feed(*piece)) {
        if (!on_event(event)) co_return true;
      }
    }
    co_return true;
  }
};

ApiClient::ApiClient(const ApiAddress& address) : impl_(std::make_unique<Impl>()) {
  auto [origin, path] = http::parse_url(address.host);
  impl_->origin = std::move(origin);
  impl_->base_path = path == "/" ? "" : path;
  impl_->token = address.token.empty() ? read_admin_token(address.data_dir) : address.token;
}

ApiClient::~ApiClient() = default;

boost::json::value ApiClient::get(std::string_view path) {
  return parse_json(impl_->wait(impl_->fetch(impl_->request("GET", path, {}))));
}

boost::json::value ApiClient::post(std::string_view path, const boost::json::value& body) {
  return parse_json(impl_->wait(impl_->fetch(impl_->request("POST", path, to_json(body)))));
}

boost::json::value ApiClient::patch(std::string_view path, const boost::json::value& body) {
  return parse_json(impl_->wait(impl_->fetch(impl_->request("PATCH", path, to_json(body)))));
}

void ApiClient::stream(std::string_view path, const boost::json::value& body,
                       const std::function<bool(const http::SseEvent&)>& on_event) {
  impl_->wait(impl_->run_stream(impl_->request("POST", path, to_json(body)), on_event));
}

}  // namespace tessera::app
