#include "http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/session.h"
#include "http/tls.h"

namespace tessera::http {
namespace {

using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;

constexpr std::chrono::milliseconds kAcceptPause{100};  // when descriptors have run out
constexpr std::chrono::milliseconds kDrainTick{10};
constexpr std::chrono::seconds kUnwindLimit{5};

[[noreturn]] void cannot_listen(const std::string& where, const std::string& reason) {
  throw Error(ErrorKind::kIo, "Cannot listen on " + where + ": " + reason);
}

// Removes a socket file that no process listens on any more; refuses anything else in its place.
void remove_stale_socket(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) cannot_listen("'" + path + "'", "the file is not a socket");
  asio::io_context context;
  asio::local::stream_protocol::socket probe(context);
  boost::system::error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  if (!error) cannot_listen("'" + path + "'", "another process listens there");
  ::unlink(path.c_str());
}

std::string ip_of(const Protocol::endpoint& peer) {
  char text[INET6_ADDRSTRLEN] = "";
  const sockaddr* address = peer.data();
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      ::inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, sizeof(text));
    } else {
      ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
    }
  }
  return text;
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Impl> {
  Impl(std::vector<asio::any_io_executor> all, bool strands, const Router& router,
       ServerOptions options)
      : executors(std::move(all)),
        strands(strands),
        strand(asio::make_strand(executors.front())),
        state(std::make_shared<ServerState>(router, std::move(options), executors.size())),
        acceptor(strand),
        pause(strand) {}

  const std::vector<asio::any_io_executor> executors;
  const bool strands;            // the executor has several threads: a strand per connection
  asio::any_io_executor strand;  // of acceptor and pause
  std::shared_ptr<ServerState> state;
  Acceptor acceptor;
  asio::steady_timer pause;
  std::uint16_t port = 0;
  bool closed = false;

  const ServerOptions& options() const { return state->options; }

  void bind();
  void accept();
  void accepted(const boost::system::error_code& error, Socket socket, std::size_t loop);
  void stop_accepting();
  void cut_all();
  bool all_ended();
  std::size_t session_count();
};

void Server::Impl::bind() {
  bool local = !options().unix_path.empty();
  Protocol::endpoint endpoint;
  std::string where;
  if (local) {
    where = "'" + options().unix_path + "'";
    if (options().unix_path.size() >= sizeof(sockaddr_un::sun_path)) {
      cannot_listen(where, "the path of a Unix socket must be shorter than " +
                               std::to_string(sizeof(sockaddr_un::sun_path)) + " bytes");
    }
    remove_stale_socket(options().unix_path);
    endpoint = asio::local::stream_protocol::endpoint(options().unix_path);
  } else {
    where = options().address + ":" + std::to_string(options().port);
    boost::system::error_code error;
    auto address = asio::ip::make_address(
        options().address == "localhost" ? "127.0.0.1" : options().address, error);
    if (error) cannot_listen(where, "the address is not an IP address");
    endpoint = asio::ip::tcp::endpoint(address, options().port);
  }
  try {
    acceptor.open(local ? Protocol(AF_UNIX, 0)
                        : Protocol(endpoint.protocol().family(), IPPROTO_TCP));
    if (!local) acceptor.set_option(asio::socket_base::reuse_address(true));
    acceptor.bind(endpoint);
    // Its owner alone may connect: a worker's socket has no other protection.
    if (local) ::chmod(options().unix_path.c_str(), S_IRUSR | S_IWUSR);
    acceptor.listen(asio::socket_base::max_listen_connections);
    if (!local) {
      auto bound = acceptor.local_endpoint();
      port = ntohs(bound.data()->sa_family == AF_INET6
                       ? reinterpret_cast<const sockaddr_in6*>(bound.data())->sin6_port
                       : reinterpret_cast<const sockaddr_in*>(bound.data())->sin_port);
    }
  } catch (const boost::system::system_error& e) {
    cannot_listen(where, e.code().message());
  }
}

void Server::Impl::accept() {
  const std::size_t loop = state->quietest_loop();
  asio::any_io_executor executor = executors[loop];
  if (strands) executor = asio::make_strand(executor);
  acceptor.async_accept(executor, [self = shared_from_this(), loop](
                                      const boost::system::error_code& error, Socket socket) {
    self->accepted(error, std::move(socket), loop);
  });
}

void Server::Impl::accepted(const boost::system::error_code& error, Socket socket,
                            std::size_t loop) {
  if (closed || error == asio::error::operation_aborted) return;
  if (error) {
    if (error != asio::error::connection_aborted) {
      log_warn("http", "cannot accept a connection", {{"reason", error.message()}});
    }
    pause.expires_after(kAcceptPause);
    pause.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
      if (!ec && !self->closed) self->accept();
    });
    return;
  }
  boost::system::error_code ignored;
  std::string peer_ip;
  if (options().unix_path.empty()) {
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    auto peer = socket.remote_endpoint(ignored);
    if (!ignored) peer_ip = ip_of(peer);
  }
  auto limit = static_cast<std::size_t>(options().max_connections);
  std::size_t count = session_count();
  // A few beyond the limit are told so; the others are not even that.
  std::size_t tellable = limit + 16 + limit / 8;
  if (count < tellable) {
    Session::start(std::make_shared<Session>(state, std::move(socket), loop, std::move(peer_ip),
                                             count >= limit));
  }
  accept();
}

void Server::Impl::stop_accepting() {
  if (std::exchange(closed, true)) return;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  pause.cancel();
  if (!options().unix_path.empty()) ::unlink(options().unix_path.c_str());
  std::lock_guard lock(state->mutex);
  state->stopped = true;
  state->all_ended.notify_all();
}

void Server::Impl::cut_all() {
  std::vector<std::shared_ptr<Session>> alive;
  {
    std::lock_guard lock(state->mutex);
    for (const auto& session : state->sessions) {
      if (auto self = session.lock()) alive.push_back(std::move(self));
    }
  }
  for (const auto& session : alive) session->cut();
}

bool Server::Impl::all_ended() {
  std::lock_guard lock(state->mutex);
  return state->stopped && state->sessions.empty();
}

std::size_t Server::Impl::session_count() {
  std::lock_guard lock(state->mutex);
  return state->sessions.size();
}

Server::Server(asio::any_io_executor executor, const Router& router, ServerOptions options)
    : Server(std::vector{std::move(executor)}, true, router, std::move(options)) {}

Server::Server(const EventLoops& loops, const Router& router, ServerOptions options)
    : Server(loops.executors(), false, router, std::move(options)) {}

Server::Server(std::vector<asio::any_io_executor> executors, bool strands, const Router& router,
               ServerOptions options)
    : impl_(std::make_shared<Impl>(std::move(executors), strands, router, std::move(options))) {
  if (impl_->options().tls) impl_->state->tls = make_server_tls(*impl_->options().tls);
  impl_->bind();
}

Server::~Server() {
  ServerState& state = *impl_->state;
  state.draining = true;
  asio::post(impl_->strand, [impl = impl_] { impl->stop_accepting(); });
  auto ended = [&] { return state.stopped && state.sessions.empty(); };
  auto limit = std::chrono::steady_clock::now() + kUnwindLimit;
  std::unique_lock lock(state.mutex);
  while (!ended() && std::chrono::steady_clock::now() < limit) {
    lock.unlock();
    impl_->cut_all();  // in rounds: a connection may just have been accepted
    lock.lock();
    state.all_ended.wait_for(lock, kAcceptPause, ended);
  }
  if (!ended()) {
    log_error("http", "connections did not unwind in time", {{"count", state.sessions.size()}});
  }
}

std::uint16_t Server::port() const { return impl_->port; }

void Server::start() {
  asio::post(impl_->strand, [impl = impl_] {
    if (!impl->closed) impl->accept();
  });
}

std::size_t Server::connections() const { return impl_->session_count(); }

int Server::active_requests() const { return impl_->state->active_requests.load(); }

asio::awaitable<int> Server::drain(std::chrono::milliseconds deadline) {
  auto impl = impl_;
  impl->state->draining = true;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  auto limit = std::chrono::steady_clock::now() + deadline;
  while (impl->state->active_requests.load() > 0 && std::chrono::steady_clock::now() < limit) {
    timer.expires_after(kDrainTick);
    co_await timer.async_wait(asio::use_awaitable);
  }
  int cut = impl->state->active_requests.load();
  asio::post(impl->strand, [impl] { impl->stop_accepting(); });
  // Until all have unwound: who stops the executor right after this would leave the destructor
  // waiting for them.
  limit = std::chrono::steady_clock::now() + kUnwindLimit;
  while (!impl->all_ended() && std::chrono::steady_clock::now() < limit) {
    impl->cut_all();
    timer.expires_after(kDrainTick);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return cut;
}

}  // namespace tessera::http
