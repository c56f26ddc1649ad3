// One connection of the server: read head and body under limits, route, answer, again.
//
// A session is a coroutine on its own strand, or on a loop of one thread, helped by two callbacks
// there: the outstanding read, which goes on while a handler runs and so notices that the client
// has left, and the deadline's.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "http/byte_buffer.h"
#include "http/deadline_timer.h"
#include "http/gate.h"
#include "http/server.h"
#include "http/transport.h"
#include "http/wire.h"

namespace tessera::http {

class Session;

// What the sessions of a server share.
struct ServerState {
  ServerState(const Router& router, ServerOptions options, std::size_t loops)
      : router(router), options(std::move(options)), sessions_of_loop(loops) {}

  std::size_t quietest_loop();  // the one with the fewest sessions

  const Router& router;
  const ServerOptions options;
  std::optional<asio::ssl::context> tls;
  std::atomic<int> active_requests{0};
  std::atomic<bool> draining{false};

  std::mutex mutex;                   // guards what follows
  std::condition_variable all_ended;  // signalled when sessions becomes empty, or stopped true
  std::list<std::weak_ptr<Session>> sessions;
  std::vector<std::size_t> sessions_of_loop;
  bool stopped = false;  // nothing is accepted any more
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  // `refuse`: the server has too many connections; answer 503 and close.
  // `loop`: where its executor stands in ServerState::sessions_of_loop.
  Session(std::shared_ptr<ServerState> state, Socket socket, std::size_t loop, std::string peer_ip,
          bool refuse);
  ~Session();

  // Registers the session and spawns its coroutine.
  static void start(std::shared_ptr<Session> self);
  // Closes the connection and cancels the handler. Any thread.
  void cut();

 private:
  friend class DeadlineTimer<Session>;  // calls on_deadline()
  enum class Phase { kHandshake, kHead, kBody, kHandler, kFirstPiece, kSilence, kWrite, kLinger };
  enum class Wake { kBytes, kClosed, kTimeout };
  struct Exchange;  // one request and what is known of its answer

  asio::awaitable<void> run();
  asio::awaitable<bool> serve_one();  // false: close the connection
  asio::awaitable<bool> read_head(Exchange& exchange);
  bool take_body(Exchange& exchange);
  asio::awaitable<void> read_body(Exchange& exchange);
  asio::awaitable<void> answer(Exchange& exchange);
  asio::awaitable<void> send_whole(Exchange& exchange, Response response);
  asio::awaitable<void> send_stream(Exchange& exchange, Response response);
  asio::awaitable<bool> write(Gather buffers);
  asio::awaitable<void> linger();
  asio::awaitable<void> shut_down_tls();

  void check_head(Exchange& exchange);
  void finish_body(Exchange& exchange);
  void write_head(Exchange& exchange, const Response& response, bool streamed);
  Response present(const Error& error, Exchange& exchange) const;
  Error describe(std::exception_ptr failure, const Exchange& exchange) const;
  void log_access(const Exchange& exchange) const;

  asio::awaitable<Wake> more();  // waits for bytes, the end or the deadline
  void write_beside(std::string bytes);
  void await_piece();
  void start_read();
  void on_read(const boost::system::error_code& error, std::size_t count);
  void client_left();

  void set_deadline(Phase phase, std::chrono::milliseconds limit);
  void clear_deadline(Phase phase);
  void on_deadline();
  void close();

  std::shared_ptr<ServerState> state_;
  Transport transport_;
  const std::size_t loop_;
  DeadlineTimer<Session> deadline_;
  asio::cancellation_signal cancel_;  // of the coroutine, and so of the handler
  Gate gate_;
  ByteBuffer in_;
  std::string out_;  // the head being sent
  std::string peer_ip_;
  std::list<std::weak_ptr<Session>>::iterator place_;  // in ServerState::sessions
  bool registered_ = false;

  Phase phase_ = Phase::kHead;
  bool reading_ = false;    // a read is under way
  bool watching_ = false;   // a handler or stream runs: the end of input cancels it
  bool gone_ = false;       // the connection is of no more use
  bool timed_out_ = false;  // set by the deadline, taken by more()
  bool refuse_ = false;
  std::size_t body_reads_ = 0;  // bytes to ask for while a body comes

  // Streams: while next() is awaited, the timer may write a late head or a keep-alive.
  bool awaiting_piece_ = false;
  bool head_sent_ = false;
  bool beside_pending_ = false;  // such a write is under way
  std::string beside_;           // its bytes
  std::string keep_alive_;       // framed for the wire; empty: none
  std::chrono::milliseconds keep_alive_interval_{0};
};

}  // namespace tessera::http
