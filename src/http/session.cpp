#include "http/session.h"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <stdexcept>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/inflate.h"
#include "http/write_head.h"

namespace tessera::http {
namespace {

constexpr std::size_t kHeadRead = 8u << 10;
constexpr std::size_t kBodyRead = 64u << 10;
constexpr std::size_t kKeptBuffer = 16u << 10;    // between requests
constexpr std::size_t kMaxReadAhead = 64u << 10;  // of pipelined requests while a handler runs
constexpr std::chrono::milliseconds kLingerTime{2'000};
constexpr std::chrono::milliseconds kTlsShutdownTime{1'000};
constexpr std::size_t kTlsRecord = 16u << 10;
constexpr int kDrainRetryAfter_s = 5;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

Error bad_request(std::string reason) {
  Error error(ErrorKind::kBadJson, "Bad request: " + std::move(reason));
  error.code = "bad_http_request";
  return error;
}

Error too_large(std::size_t limit) {
  return Error(ErrorKind::kPayloadTooLarge,
               "The request body is larger than " + std::to_string(limit) + " bytes.");
}

bool is_bodyless(int status) { return status / 100 == 1 || status == 204 || status == 304; }

// "1f\r\n"
std::string_view chunk_size_line(std::size_t size, char (&line)[24]) {
  int length = std::snprintf(line, sizeof(line), "%zx\r\n", size);
  return {line, static_cast<std::size_t>(length)};
}

}  // namespace

struct Session::Exchange {
  explicit Exchange(std::atomic<int>& active) : active(active) {}
  ~Exchange() { leave(); }  // also when the coroutine is destroyed while it waits
  void enter() {
    active.fetch_add(1);
    counted = true;
  }
  void leave() {
    if (std::exchange(counted, false)) active.fetch_sub(1);
  }

  std::atomic<int>& active;
  MessageHead head;
  Request request;  // moved into the handler
  Request about;    // what error presenters and the log may know: id, method, path, peer
  Router::Match match;
  bool keep_alive = false;
  bool unread_body = false;  // the answer goes out before the request was read: linger
  bool counted = false;      // in `active`
  bool client_closed = false;
  int status = 0;
  std::size_t request_bytes = 0, response_bytes = 0;
  std::int64_t started_us = 0;
};

std::size_t ServerState::quietest_loop() {
  std::lock_guard lock(mutex);
  return static_cast<std::size_t>(std::ranges::min_element(sessions_of_loop) -
                                  sessions_of_loop.begin());
}

Session::Session(std::shared_ptr<ServerState> state, Socket socket, std::size_t loop,
                 std::string peer_ip, bool refuse)
    : state_(std::move(state)),
      transport_(std::move(socket)),
      loop_(loop),
      deadline_(transport_.socket().get_executor(), *this),
      peer_ip_(std::move(peer_ip)),
      refuse_(refuse) {
  if (state_->tls) transport_.enable_tls(*state_->tls);
}

Session::~Session() {
  if (!registered_) return;
  std::lock_guard lock(state_->mutex);
  state_->sessions.erase(place_);
  --state_->sessions_of_loop[loop_];
  if (state_->sessions.empty()) state_->all_ended.notify_all();
}

void Session::start(std::shared_ptr<Session> self) {
  {
    std::lock_guard lock(self->state_->mutex);
    self->place_ = self->state_->sessions.insert(self->state_->sessions.end(), self);
    ++self->state_->sessions_of_loop[self->loop_];
    self->registered_ = true;
  }
  Session& session = *self;
  asio::co_spawn(session.transport_.socket().get_executor(), session.run(),
                 asio::bind_cancellation_slot(
                     session.cancel_.slot(), [self = std::move(self)](std::exception_ptr failure) {
                       self->close();
                       if (!failure) return;
                       try {
                         std::rethrow_exception(failure);
                       } catch (const std::exception& e) {
                         log_debug("http", "connection ended", {{"reason", e.what()}});
                       }
                     }));
}

void Session::cut() {
  asio::post(transport_.socket().get_executor(), [self = shared_from_this()] {
    self->client_left();
    self->close();
  });
}

asio::awaitable<void> Session::run() {
  boost::system::error_code ignored;
  transport_.socket().non_blocking(true, ignored);
  if (auto* tls = transport_.tls()) {
    set_deadline(Phase::kHandshake, state_->options.header_timeout);
    co_await tls->async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
  }
  while (co_await serve_one()) {
  }
  if (!gone_ && transport_.tls()) co_await shut_down_tls();
}

asio::awaitable<bool> Session::serve_one() {
  Exchange exchange(state_->active_requests);
  std::optional<Error> refused;
  try {
    if (!co_await read_head(exchange)) co_return false;
    exchange.enter();
    if (!take_body(exchange)) co_await read_body(exchange);
  } catch (const Error& error) {
    refused = error;
  }
  if (gone_) co_return false;
  exchange.started_us = steady_us();
  if (refused) {
    // The rest of the input cannot be trusted, or is not wanted.
    exchange.keep_alive = false;
    exchange.unread_body = true;
    co_await send_whole(exchange, present(*refused, exchange));
  } else {
    co_await answer(exchange);
  }
  log_access(exchange);
  exchange.leave();
  if (gone_) co_return false;
  if (!exchange.keep_alive && exchange.unread_body) co_await linger();
  co_return exchange.keep_alive;
}

asio::awaitable<bool> Session::read_head(Exchange& exchange) {
  std::size_t scanned = 0;
  std::size_t limit = state_->options.max_header_bytes;
  bool idle = true;  // no byte of the request yet
  body_reads_ = 0;
  set_deadline(Phase::kHead, state_->options.header_timeout);
  for (;;) {
    // Empty lines before a request are skipped (RFC 9112, 2.2).
    while (idle && in_.view().starts_with("\r\n")) in_.consume(2);
    if (idle && !in_.empty()) {
      idle = false;
      set_deadline(Phase::kHead, state_->options.header_timeout);
    }
    if (auto end = find_head_end(in_.view(), scanned)) {
      exchange.request.id = exchange.about.id = uuid_v4();
      if (*end > limit) {
        throw Error(ErrorKind::kHeadersTooLarge,
                    "The request head is larger than " + std::to_string(limit) + " bytes.");
      }
      exchange.head = parse_request_head(in_.view().substr(0, *end));
      in_.consume(*end);
      check_head(exchange);
      co_return true;
    }
    if (!in_.empty() && !can_begin_request(in_.view().front())) {
      // Refused at once instead of waiting for the end of a head that cannot come.
      exchange.about.id = uuid_v4();
      parse_request_head(in_.view().substr(0, 1));
    }
    if (in_.size() > limit) {
      exchange.about.id = uuid_v4();
      throw Error(ErrorKind::kHeadersTooLarge,
                  "The request head is larger than " + std::to_string(limit) + " bytes.");
    }
    Wake wake = co_await more();
    if (wake == Wake::kClosed) co_return false;
    if (wake == Wake::kTimeout) {
      if (idle) co_return false;
      exchange.about.id = uuid_v4();
      throw Error(ErrorKind::kReadTimeout,
                  "The request head did not arrive in " +
                      std::to_string(state_->options.header_timeout.count()) + " ms.");
    }
  }
}

// Everything that can be said before the body is read.
void Session::check_head(Exchange& exchange) {
  MessageHead& head = exchange.head;
  Request& request = exchange.request;
  exchange.keep_alive = head.keep_alive;
  auto [path, query] = split_target(head.target);
  request.method = std::move(head.method);
  request.path = path;
  exchange.about.method = request.method;
  exchange.about.path = request.path;
  exchange.about.peer_ip = peer_ip_;
  request.peer_ip = peer_ip_;
  if (refuse_ || state_->draining.load(std::memory_order_relaxed)) {
    Error error(ErrorKind::kShuttingDown,
                refuse_ ? "The server has too many connections." : "The server is shutting down.");
    error.retry_after_s = refuse_ ? 1 : kDrainRetryAfter_s;
    throw error;
  }
  exchange.match = state_->router.match(request.method, path);
  request.query = parse_query(query);
  if (path.find('%') != std::string_view::npos) {
    std::string decoded;
    bool first = true;
    for (std::string_view segment : split(path, '/')) {
      if (!first) decoded += '/';
      first = false;
      decoded += url_decode(segment).value_or(std::string(segment));
    }
    exchange.about.path = decoded;
    request.path = std::move(decoded);
  }
  request.target = std::move(head.target);
  request.headers = std::move(head.headers);
  request.params = std::move(exchange.match.params);
  std::size_t limit = exchange.match.options.max_body_bytes;
  if (head.content_length.value_or(0) > limit) throw too_large(limit);
}

// A body that came with its head, as most do, or none: no coroutine is needed. False: read on.
bool Session::take_body(Exchange& exchange) {
  if (exchange.head.chunked) return false;
  const std::size_t length = exchange.head.content_length.value_or(0);
  if (length == 0) return true;
  if (in_.size() < length) return false;
  exchange.request.body.assign(in_.view().substr(0, length));
  in_.consume(length);
  finish_body(exchange);
  return true;
}

asio::awaitable<void> Session::read_body(Exchange& exchange) {
  const MessageHead& head = exchange.head;
  std::string& body = exchange.request.body;
  std::size_t limit = exchange.match.options.max_body_bytes;
  auto expect = exchange.request.headers.get("expect");
  if (expect && in_.empty() && head.minor_version == 1 && iequals(*expect, "100-continue")) {
    co_await write(gather(kContinue));
  }
  set_deadline(Phase::kBody, state_->options.body_timeout);
  ChunkDecoder chunks;
  constexpr std::size_t kMaxReserve = 1u << 20;  // do not believe a Content-Length beyond this
  std::size_t length = head.content_length.value_or(0);
  body.reserve(std::min(length, kMaxReserve));
  for (;;) {
    if (head.chunked) {
      try {
        in_.consume(chunks.feed(in_.view(), body));
      } catch (const std::invalid_argument& e) {
        throw bad_request(e.what());
      }
      if (body.size() > limit) throw too_large(limit);
      if (chunks.done()) break;
      body_reads_ = kBodyRead;
    } else {
      std::size_t take = std::min(length - body.size(), in_.size());
      body.append(in_.view().substr(0, take));
      in_.consume(take);
      if (body.size() == length) break;
      body_reads_ = std::min(length - body.size(), kBodyRead);
    }
    Wake wake = co_await more();
    if (wake == Wake::kClosed) {
      gone_ = true;
      co_return;
    }
    if (wake == Wake::kTimeout) {
      throw Error(ErrorKind::kReadTimeout,
                  "The request body did not arrive in " +
                      std::to_string(state_->options.body_timeout.count()) + " ms.");
    }
  }
  body_reads_ = 0;
  finish_body(exchange);
}

void Session::finish_body(Exchange& exchange) {
  Request& request = exchange.request;
  exchange.request_bytes = request.body.size();
  auto encoding = request.headers.get("content-encoding");
  if (!encoding || encoding->empty() || iequals(*encoding, "identity")) return;
  if (!iequals(*encoding, "gzip") && !iequals(*encoding, "x-gzip")) {
    throw Error(ErrorKind::kUnsupportedMediaType, "Content-Encoding " +
                                                      quote_for_message(*encoding) +
                                                      " is not supported; use 'gzip' or none.");
  }
  request.body = gunzip(request.body, exchange.match.options.max_body_bytes);
  request.headers.erase("content-encoding");
  request.headers.erase("content-length");
}

asio::awaitable<void> Session::answer(Exchange& exchange) {
  std::exception_ptr failure;
  Response response;
  clear_deadline(Phase::kHandler);
  if (exchange.match.handler == nullptr) {
    bool known = !exchange.match.allow.empty();
    Error error(known ? ErrorKind::kMethodNotAllowed : ErrorKind::kPathNotFound,
                known ? "Method " + quote_for_message(exchange.about.method) +
                            " is not allowed here; allowed: " + exchange.match.allow + "."
                      : "No API found for " +
                            quote_for_message(exchange.about.method + " " + exchange.about.path) +
                            ".");
    response = present(error, exchange);
    if (known) response.headers.set("allow", exchange.match.allow);
    co_await send_whole(exchange, std::move(response));
    co_return;
  }
  watching_ = true;
  start_read();
  try {
    response = co_await (*exchange.match.handler)(std::move(exchange.request));
  } catch (...) {
    failure = std::current_exception();
  }
  if (gone_) {
    exchange.client_closed = true;
    co_return;
  }
  if (failure) response = present(describe(failure, exchange), exchange);
  if (response.stream && exchange.about.method != "HEAD") {
    co_await send_stream(exchange, std::move(response));
  } else {
    watching_ = false;
    co_await send_whole(exchange, std::move(response));
  }
  watching_ = false;
}

asio::awaitable<void> Session::send_whole(Exchange& exchange, Response response) {
  write_head(exchange, response, false);
  std::string_view body = response.body;
  if (exchange.about.method == "HEAD" || is_bodyless(response.status)) body = {};
  exchange.response_bytes = body.size();
  if (body.size() <= kJoined) {
    out_ += body;
    body = {};
  }
  Gather buffers = gather(out_, body);
  if (transport_.write_at_once(buffers)) co_return;
  exchange.client_closed = !co_await write(buffers);
}

asio::awaitable<void> Session::send_stream(Exchange& exchange, Response response) {
  bool chunked = exchange.head.minor_version == 1;
  if (!chunked) exchange.keep_alive = false;
  write_head(exchange, response, true);
  head_sent_ = false;
  char line[24];
  keep_alive_.clear();
  if (response.keep_alive_interval > response.keep_alive_interval.zero()) {
    keep_alive_ = response.keep_alive;
    keep_alive_interval_ = response.keep_alive_interval;
    if (chunked && !keep_alive_.empty()) {
      keep_alive_.insert(0, chunk_size_line(keep_alive_.size(), line)).append("\r\n");
    }
  }
  bool ended = false;
  while (!ended) {
    std::optional<std::string> piece;
    std::exception_ptr failure;
    await_piece();
    try {
      piece = co_await response.stream->next();
    } catch (...) {
      failure = std::current_exception();
    }
    awaiting_piece_ = false;
    while (beside_pending_ && !gone_) co_await gate_.wait();
    if (gone_) {
      response.stream.reset();  // at once: it feeds on something
      exchange.client_closed = true;
      co_return;
    }
    clear_deadline(Phase::kHandler);
    if (failure) {
      response.stream.reset();
      Error error = describe(failure, exchange);
      if (!head_sent_) {
        watching_ = false;
        co_await send_whole(exchange, present(error, exchange));
        co_return;
      }
      piece = state_->router.present_in_stream(error, exchange.about);
      ended = true;
    }
    std::string_view head = head_sent_ ? std::string_view{} : std::string_view(out_);
    head_sent_ = true;
    bool sent = false;
    if (!piece) {
      ended = true;
      sent = co_await write(gather(head, chunked ? kLastChunk : ""));
    } else if (!chunked || piece->empty()) {
      exchange.response_bytes += piece->size();
      sent = co_await write(gather(head, *piece));
    } else {
      exchange.response_bytes += piece->size();
      std::string_view size_line = chunk_size_line(piece->size(), line);
      *piece += "\r\n";
      sent = co_await write(gather(head, size_line, *piece, ended ? kLastChunk : ""));
    }
    if (!sent || (gone_ && !ended)) {
      exchange.client_closed = true;
      co_return;
    }
  }
}

// Fills out_.
void Session::write_head(Exchange& exchange, const Response& response, bool streamed) {
  if (state_->draining.load(std::memory_order_relaxed)) exchange.keep_alive = false;
  exchange.status = response.status;
  ResponseHead head{.status = response.status,
                    .minor_version = exchange.head.minor_version,
                    .keep_alive = exchange.keep_alive,
                    .request_id = exchange.about.id};
  if (streamed || response.stream) {
    head.body = head.minor_version == 0 ? ResponseHead::Body::kToEnd : ResponseHead::Body::kChunked;
  } else if (!is_bodyless(response.status)) {
    head.body = ResponseHead::Body::kLength;
    head.content_length = response.body.size();
  }
  out_.clear();
  append_response_head(out_, head, response.headers);
}

Response Session::present(const Error& error, Exchange& exchange) const {
  try {
    return state_->router.present(error, exchange.about);
  } catch (const std::exception& e) {
    log_error("http", "an error presenter failed",
              {{"reason", e.what()}, {"request_id", exchange.about.id}});
    return Response::json("{\"error_code\":\"INTERNAL_ERROR\",\"message\":\"Internal error\"}",
                          500);
  }
}

// Whatever a handler or stream threw, as an Error that clients may see.
Error Session::describe(std::exception_ptr failure, const Exchange& exchange) const {
  std::string reason = "unknown exception";
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& e) {
    reason = e.what();
  } catch (...) {
  }
  log_error("http", "request failed",
            {{"request_id", exchange.about.id},
             {"method", exchange.about.method},
             {"path", exchange.about.path},
             {"reason", reason}});
  return Error(ErrorKind::kInternal, "Internal error; request id " + exchange.about.id + ".");
}

void Session::log_access(const Exchange& exchange) const {
  if (!state_->options.access_log) return;
  AccessRecord record;
  record.method = exchange.about.method;
  record.path = exchange.about.path;
  record.request_id = exchange.about.id;
  record.peer_ip = peer_ip_;
  record.status = exchange.client_closed ? http_status(ErrorKind::kClientClosed) : exchange.status;
  record.request_bytes = exchange.request_bytes;
  record.response_bytes = exchange.response_bytes;
  record.duration_us = steady_us() - exchange.started_us;
  try {
    state_->options.access_log(record);
  } catch (const std::exception& e) {
    log_error("http", "the access log failed", {{"reason", e.what()}});
  }
}

// Sends all of it; false when the connection is broken or blocked.
asio::awaitable<bool> Session::write(Gather buffers) {
  std::string record;
  if (transport_.tls() && total_size(buffers) <= kTlsRecord) {
    // One TLS record, and one packet, instead of one per buffer.
    for (const auto& buffer : buffers) {
      record.append(static_cast<const char*>(buffer.data()), buffer.size());
    }
    buffers = gather(record);
  }
  bool sent = transport_.write_at_once(buffers);
  while (!sent) {
    set_deadline(Phase::kWrite, state_->options.write_timeout);
    boost::system::error_code error;
    std::size_t done = co_await transport_.async_write_some(
        buffers, asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      gone_ = true;
      co_return false;
    }
    advance(buffers, done);
    sent = total_size(buffers) == 0;
  }
  if (phase_ == Phase::kWrite) clear_deadline(Phase::kHandler);
  co_return true;
}

// The answer is out, but the client may still be sending: closing now would reset the connection
// and could destroy the answer on its way (RFC 9112, 9.6).
asio::awaitable<void> Session::linger() {
  boost::system::error_code ignored;
  if (!transport_.tls()) transport_.socket().shutdown(Socket::shutdown_send, ignored);
  set_deadline(Phase::kLinger, kLingerTime);
  body_reads_ = kBodyRead;
  for (;;) {
    in_.clear();
    if (co_await more() != Wake::kBytes) break;
  }
  gone_ = true;
}

asio::awaitable<void> Session::shut_down_tls() {
  set_deadline(Phase::kHandshake, kTlsShutdownTime);
  if (reading_) {
    boost::system::error_code ignored;
    transport_.socket().cancel(ignored);
    while (reading_) co_await gate_.wait();
  }
  boost::system::error_code ignored;
  co_await transport_.tls()->async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<Session::Wake> Session::more() {
  std::size_t before = in_.size();
  timed_out_ = false;
  if (!gone_) {
    start_read();
    while (!gone_ && !timed_out_ && in_.size() == before) co_await gate_.wait();
  }
  if (in_.size() > before) co_return Wake::kBytes;
  co_return gone_ ? Wake::kClosed : Wake::kTimeout;
}

void Session::start_read() {
  if (reading_ || gone_) return;
  std::size_t count = body_reads_ > 0 ? body_reads_ : kHeadRead;
  if (body_reads_ == 0) in_.shrink(kKeptBuffer);
  char* place = in_.prepare(count);
  reading_ = true;
  transport_.async_read_some(
      asio::mutable_buffer(place, count),
      [self = shared_from_this()](const boost::system::error_code& error, std::size_t n) {
        self->on_read(error, n);
      });
}

void Session::on_read(const boost::system::error_code& error, std::size_t count) {
  reading_ = false;
  if (error) {
    client_left();
    return;
  }
  in_.commit(count);
  if (!watching_) {
    gate_.open();
  } else if (in_.size() < kMaxReadAhead) {
    start_read();
  }
}

// End of input, or cut by the server: whatever runs for this client has no reader any more.
void Session::client_left() {
  gone_ = true;
  if (watching_) cancel_.emit(asio::cancellation_type::terminal);
  gate_.open();
}

void Session::set_deadline(Phase phase, std::chrono::milliseconds limit) {
  phase_ = phase;
  deadline_.set(limit);
}

void Session::clear_deadline(Phase phase) {
  phase_ = phase;
  deadline_.clear();
}

void Session::on_deadline() {
  switch (phase_) {
    case Phase::kHead:
    case Phase::kBody:
    case Phase::kLinger:
      timed_out_ = true;
      gate_.open();
      break;
    case Phase::kHandshake:
    case Phase::kWrite:
      gone_ = true;
      close();
      break;
    case Phase::kFirstPiece:
      head_sent_ = true;
      write_beside(out_);
      break;
    case Phase::kSilence:
      write_beside(keep_alive_);
      break;
    case Phase::kHandler:
      break;
  }
}

// Only while the coroutine awaits a piece, so that nothing else is being written.
void Session::write_beside(std::string bytes) {
  beside_ = std::move(bytes);
  beside_pending_ = true;
  set_deadline(Phase::kWrite, state_->options.write_timeout);
  auto done = [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
    self->beside_pending_ = false;
    if (error) {
      self->client_left();
    } else if (self->awaiting_piece_) {
      self->await_piece();
    }
    self->gate_.open();
  };
  if (auto* tls = transport_.tls()) {
    asio::async_write(*tls, asio::buffer(beside_), std::move(done));
  } else {
    asio::async_write(transport_.socket(), asio::buffer(beside_), std::move(done));
  }
}

// Sets what is to happen if the next piece takes long.
void Session::await_piece() {
  awaiting_piece_ = true;
  if (!head_sent_) {
    set_deadline(Phase::kFirstPiece, state_->options.stream_head_delay);
  } else if (!keep_alive_.empty()) {
    set_deadline(Phase::kSilence, keep_alive_interval_);
  } else {
    clear_deadline(Phase::kHandler);
  }
}

void Session::close() {
  gone_ = true;
  deadline_.cancel();
  transport_.close();
}

}  // namespace tessera::http
