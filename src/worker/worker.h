// One model behind HTTP: an OpenAI-compatible server on a TCP port or a Unix socket.
//
//   GET /health, /ready, /metrics, /v1/models
//   POST /v1/chat/completions, /v1/completions, /v1/embeddings
//
// Built by app/ on its executor, which should have one thread: the cores belong to the kernels.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "http/server.h"

namespace tessera {

struct WorkerOptions {
  EngineOptions engine;           // model_path names the folder or GGUF file
  http::ServerOptions server;     // address and port, or unix_path
  std::string served_model_name;  // empty: the last part of the model's path
  int max_output_tokens = 0;      // cap on max_tokens; 0: the context is the only bound
  bool behind_gateway = false;    // requests come checked (api::Profile::kInternal), no pings
  bool parse_special_in_content = false;
  std::size_t max_body_bytes = 64u << 20;
};

class Worker {
 public:
  // Loads the model and binds; throws Error(kIo | kBadModelFile | kUnsupportedModel |
  // kBadConfiguration). From start() on it answers.
  Worker(http::asio::any_io_executor executor, WorkerOptions options);
  ~Worker();

  void start();
  std::uint16_t port() const;
  const std::string& served_model_name() const;
  const Engine& engine() const;

  // Running requests finish, new ones get 503; resolves when all are done or the deadline has
  // passed. Returns the number of requests cut.
  http::asio::awaitable<int> drain(std::chrono::milliseconds deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera
