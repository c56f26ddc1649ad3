// HTTP: a session fed over a socket pair in pieces, or the pure functions of the wire format.
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#include "base/error.h"
#include "base/log.h"
#include "http/inflate.h"
#include "http/session.h"
#include "http/wire.h"

namespace {

using namespace tessera::http;
using tessera::Error;

asio::awaitable<Response> echo(Request request) {
  Response response = Response::json(request.path + request.body);
  for (const auto& [name, value] : request.headers) response.headers.add("x-" + name, value);
  co_return response;
}

const Router& router() {
  static const Router* instance = [] {
    auto* router = new Router;
    router->add("GET", "/a", echo);
    router->add("POST", "/a", echo, {.max_body_bytes = 2000});
    router->add("POST", "/a/{name}/b", echo);
    router->add("GET", "/files/{rest...}", echo);
    return router;
  }();
  return *instance;
}

// Whatever comes in, what goes out is HTTP, and the session ends with its input.
void run_session(std::string_view input, std::size_t step) {
  asio::io_context context(1);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) return;
  auto state = std::make_shared<ServerState>(router(), ServerOptions{.max_header_bytes = 4096}, 1);
  {
    Socket socket(asio::any_io_executor(asio::make_strand(context)));
    socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), ends[0]);
    Session::start(std::make_shared<Session>(state, std::move(socket), 0, "", false));
  }
  std::string output;
  auto take = [&] {
    char bytes[4096];
    ssize_t got;
    while ((got = ::recv(ends[1], bytes, sizeof(bytes), 0)) > 0) {
      output.append(bytes, static_cast<std::size_t>(got));
    }
  };
  for (std::size_t i = 0; i < input.size(); i += step) {
    std::string_view piece = input.substr(i, step);
    if (::send(ends[1], piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
    context.poll();
    take();
  }
  ::shutdown(ends[1], SHUT_WR);
  context.poll();
  take();
  ::close(ends[1]);
  context.restart();
  context.poll();
  if (!output.empty() && !output.starts_with("HTTP/1.1 ")) std::abort();
  if (!state->sessions.empty() || state->active_requests != 0) std::abort();
}

void run_response(std::string_view input, std::size_t step) {
  std::size_t scanned = 0;
  auto end = find_head_end(input, scanned);
  if (!end) return;
  MessageHead head = parse_response_head(input.substr(0, *end));
  if (!head.chunked) return;
  ChunkDecoder whole, cut;
  std::string whole_body, cut_body;
  std::string_view body = input.substr(*end);
  std::size_t used = whole.feed(body, whole_body), at = 0;
  while (at < body.size() && !cut.done()) at += cut.feed(body.substr(at, step), cut_body);
  if (used != at || whole_body != cut_body || whole.done() != cut.done()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool quiet = [] {
    tessera::set_log_level(tessera::LogLevel::kOff);
    return true;
  }();
  if (!quiet || size < 2 || size > 20000) return 0;
  std::size_t step = data[0] % 61 + 1;
  int mode = data[0] / 64;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (mode <= 1) run_session(text, mode == 0 ? text.size() : step);
    if (mode == 2) run_response(text, step);
    if (mode == 3) {
      auto [path, query] = split_target(text);
      parse_query(query);
      router().match("GET", path);
      gunzip(text, 10000);
    }
  } catch (const Error&) {
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
