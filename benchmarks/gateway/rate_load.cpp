// Requests at a fixed rate (or as fast as they are answered) over keep-alive connections.
//
//   rate_load --target http://127.0.0.1:PORT | unix:PATH  --path /v1/chat/completions
//             [--rate R] [--connections C] [--seconds S] [--token T] [--stream | --body FILE]
//
// With a rate the load is open: a request's latency counts from the moment it was due, so a slow
// server cannot hide by delaying the next request. One JSON line on stdout, times in microseconds:
// for a stream, first_* is the time to the first event and pieces the chunks of an answer.

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Socket = asio::generic::stream_protocol::socket;

struct Options {
  std::string target, path = "/v1/chat/completions", token;
  std::string body;  // empty: a small chat
  double rate = 0;
  int connections = 16;
  double seconds = 3;
  bool stream = false;
};

class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)) {
    std::string body = options_.body;
    if (body.empty()) {
      body = R"({"model":"bench","messages":[{"role":"user","content":"Capital of Peru?"}],)"
             R"("max_tokens":64,"temperature":0,"stream":)";
      body += options_.stream ? "true}" : "false}";
    }
    request_ = "POST " + options_.path + " HTTP/1.1\r\nHost: localhost\r\n";
    if (!options_.token.empty()) request_ += "Authorization: Bearer " + options_.token + "\r\n";
    request_ += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body;
  }

  int run() {
    begin_ = Clock::now();
    end_ = begin_ + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(options_.seconds));
    for (int i = 0; i < options_.connections; ++i) {
      asio::co_spawn(io_, connection(), asio::detached);
    }
    io_.run();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    std::printf(
        "{\"answers\":%zu,\"errors\":%d,\"per_second\":%.1f,\"p50\":%.1f,\"p90\":%.1f,"
        "\"p99\":%.1f,\"first_p50\":%.1f,\"first_p99\":%.1f,\"pieces\":%zu}\n",
        whole_.size(), errors_, whole_.size() / seconds, at(whole_, 50), at(whole_, 90),
        at(whole_, 99), at(first_, 50), at(first_, 99), pieces_);
    return errors_ == 0 && !whole_.empty() ? 0 : 1;
  }

 private:
  Socket connect() {
    if (options_.target.starts_with("unix:")) {
      asio::local::stream_protocol::socket socket(io_);
      socket.connect(asio::local::stream_protocol::endpoint(options_.target.substr(5)));
      return socket;
    }
    const auto colon = options_.target.rfind(':');
    asio::ip::tcp::socket socket(io_);
    socket.connect({asio::ip::address_v4::loopback(),
                    static_cast<unsigned short>(std::stoi(options_.target.substr(colon + 1)))});
    socket.set_option(asio::ip::tcp::no_delay(true));
    return socket;
  }

  asio::awaitable<void> connection() {
    try {
      Socket socket = connect();
      std::string buffer;
      asio::steady_timer timer(io_);
      while (true) {
        Clock::time_point due = Clock::now();
        if (options_.rate > 0) {
          due = begin_ + std::chrono::duration_cast<Clock::duration>(
                             std::chrono::duration<double>(next_++ / options_.rate));
          if (due >= end_) break;
          timer.expires_at(due);
          co_await timer.async_wait(asio::use_awaitable);
        } else if (due >= end_) {
          break;
        }
        co_await asio::async_write(socket, asio::buffer(request_), asio::use_awaitable);
        const Clock::time_point first = co_await read_answer(socket, buffer);
        first_.push_back(us(first - due));
        whole_.push_back(us(Clock::now() - due));
      }
    } catch (const std::exception& error) {
      if (errors_++ == 0) std::cerr << "rate_load: " << error.what() << '\n';
    }
  }

  // Reads one answer whole; returns when its first body byte was there.
  asio::awaitable<Clock::time_point> read_answer(Socket& socket, std::string& buffer) {
    const auto more = [&](std::size_t wanted) -> asio::awaitable<void> {
      while (buffer.size() < wanted) {
        const std::size_t had = buffer.size();
        buffer.resize(had + 16384);
        const std::size_t got = co_await socket.async_read_some(
            asio::buffer(buffer.data() + had, 16384), asio::use_awaitable);
        buffer.resize(had + got);
      }
    };
    std::size_t head;
    while ((head = buffer.find("\r\n\r\n")) == std::string::npos) co_await more(buffer.size() + 1);
    if (buffer.compare(9, 3, "200") != 0) {
      throw std::runtime_error("answer: " + buffer.substr(0, 300));
    }
    std::string lower = buffer.substr(0, head);
    std::transform(lower.begin(), lower.end(), lower.begin(), ::tolower);
    buffer.erase(0, head + 4);
    if (const auto length = lower.find("content-length: "); length != std::string::npos) {
      const std::size_t size = std::stoul(lower.substr(length + 16));
      if (buffer.empty() && size) co_await more(1);
      const auto first = Clock::now();
      co_await more(size);
      buffer.erase(0, size);
      co_return first;
    }
    if (buffer.empty()) co_await more(1);
    const auto first = Clock::now();
    for (std::size_t pieces = 0;; ++pieces) {  // chunked
      std::size_t line;
      while ((line = buffer.find("\r\n")) == std::string::npos) co_await more(buffer.size() + 1);
      const std::size_t size = std::stoul(buffer.substr(0, line), nullptr, 16);
      co_await more(line + 2 + size + 2);
      buffer.erase(0, line + 2 + size + 2);
      if (size > 0) continue;
      pieces_ = pieces;
      co_return first;
    }
  }

  static double us(Clock::duration d) {
    return std::chrono::duration<double, std::micro>(d).count();
  }
  static double at(std::vector<double>& samples, int percent) {
    if (samples.empty()) return 0;
    const std::size_t index = std::min(samples.size() - 1, samples.size() * percent / 100);
    std::nth_element(samples.begin(), samples.begin() + index, samples.end());
    return samples[index];
  }

  Options options_;
  std::string request_;
  asio::io_context io_{1};
  Clock::time_point begin_, end_;
  std::int64_t next_ = 0;
  int errors_ = 0;
  std::size_t pieces_ = 0;  // of the latest stream
  std::vector<double> whole_, first_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (!std::strcmp(argv[i], "--target"))
      options.target = value();
    else if (!std::strcmp(argv[i], "--path"))
      options.path = value();
    else if (!std::strcmp(argv[i], "--token"))
      options.token = value();
    else if (!std::strcmp(argv[i], "--body")) {
      std::ifstream file(value(), std::ios::binary);
      options.body.assign(std::istreambuf_iterator<char>(file), {});
    } else if (!std::strcmp(argv[i], "--rate"))
      options.rate = std::stod(value());
    else if (!std::strcmp(argv[i], "--connections"))
      options.connections = std::stoi(value());
    else if (!std::strcmp(argv[i], "--seconds"))
      options.seconds = std::stod(value());
    else if (!std::strcmp(argv[i], "--stream"))
      options.stream = true;
    else {
      std::cerr << "rate_load: unknown flag " << argv[i] << '\n';
      return 2;
    }
  }
  if (options.target.empty()) {
    std::cerr << "rate_load: --target is missing\n";
    return 2;
  }
  return Load(options).run();
}
