// A streamed answer as the chunks that its provider means, pulled one batch at a time.
#pragma once

#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "gateway/event_reader.h"
#include "http/body_stream.h"
#include "http/timeout.h"
#include "providers/provider.h"

namespace tessera::gateway {

constexpr std::chrono::milliseconds kDrainLimit{200};

template <class Chunk>
class ChunkSource {
 public:
  using Decoder = providers::StreamDecoder<Chunk>;
  // What an Error, of the transport or not, means to the client.
  using Explain = std::function<Error(const Error&, bool transport)>;

  ChunkSource(std::unique_ptr<http::BodyStream> body, providers::Framing framing,
              std::unique_ptr<Decoder> decoder, Explain explain)
      : explain_(std::move(explain)),
        reader_(framing),
        decoder_(std::move(decoder)),
        body_(std::move(body)) {}
  // A plain answer presented as a stream: nothing more is read.
  explicit ChunkSource(std::vector<Chunk> chunks) : ready_(std::move(chunks)), ended_(true) {}

  // Reads up to the first chunk, so that a failure before it can still become a status or send the
  // request elsewhere. Throws what the provider reports.
  http::asio::awaitable<void> begin() {
    if (ready_.empty()) ready_ = co_await next();
  }

  // The next chunks, none at the proper end of the stream. Throws the Error that ends it, after all
  // chunks before it were given.
  http::asio::awaitable<std::vector<Chunk>> next() {
    std::vector<Chunk> out;
    for (;;) {
      if (!ready_.empty()) {
        out.swap(ready_);
        co_return out;
      }
      if (failure_) throw *failure_;
      if (ended_) co_return out;
      std::optional<std::string> piece;
      std::optional<Error> broken;
      try {
        piece = co_await body_->next();
      } catch (const Error& error) {
        broken = error;
      }
      if (broken) {
        failure_ = explain_(*broken, true);
      } else if (piece) {
        take([&](const auto& decode) { reader_.feed(*piece, decode); });
      } else {
        end();
      }
    }
  }

  // After the end: lets the connection serve again when its last bytes are there, or soon.
  http::asio::awaitable<void> drain() {
    if (!body_) co_return;
    try {
      auto work = rest(*body_);
      std::string what;
      co_await http::with_timeout(kDrainLimit, std::move(work), std::move(what));
    } catch (const Error&) {
      // It is closed, then.
    }
    body_.reset();
  }

 private:
  static http::asio::awaitable<void> rest(http::BodyStream& body) {
    for (;;) {  // (as a while over the awaited value g++ 12 makes it a trap)
      std::optional<std::string> piece = co_await body.next();
      if (!piece) co_return;
    }
  }

  template <class Read>
  void take(const Read& read) {
    const auto decode = [&](const providers::WireEvent& event) {
      if (decoder_->finished()) return;  // what follows the end has no meaning
      append(decoder_->feed(event));
    };
    try {
      read(decode);
      ended_ = decoder_->finished();
    } catch (const Error& error) {
      failure_ = explain_(error, false);
    }
  }

  void end() {
    ended_ = true;
    body_.reset();
    take([&](const auto& decode) { reader_.finish(decode); });
    ended_ = true;
    if (failure_) return;
    try {
      append(decoder_->finish());
    } catch (const Error& error) {
      failure_ = explain_(error, false);
    }
  }

  void append(std::vector<Chunk> chunks) {
    if (ready_.empty()) {
      ready_ = std::move(chunks);
    } else {
      std::move(chunks.begin(), chunks.end(), std::back_inserter(ready_));
    }
  }

  Explain explain_;
  EventReader reader_{providers::Framing::kServerSentEvents};
  std::unique_ptr<Decoder> decoder_;
  std::vector<Chunk> ready_;
  std::optional<Error> failure_;
  bool ended_ = false;
  std::unique_ptr<http::BodyStream> body_;  // last: goes first, with its connection
};

}  // namespace tessera::gateway
