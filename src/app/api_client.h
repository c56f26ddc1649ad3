// The command line's way to a running server: one request at a time, waiting for the answer.
#pragma once

#include <CLI/CLI.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/client.h"
#include "http/sse.h"

namespace tessera::app {

// Where the server is and how to be let in. The token comes from --token, TESSERA_TOKEN, or the
// admin token file of the data folder.
struct ApiAddress {
  std::string host = "http://127.0.0.1:8080";
  std::string token;
  std::string data_dir;

  void add_options(CLI::App& command);
};

// $TESSERA_DATA_DIR, else ~/.tessera.
std::string default_data_dir();

class ApiClient {
 public:
  explicit ApiClient(const ApiAddress& address);
  ~ApiClient();

  // Throws Error with the server's own message when it answers 4xx or 5xx.
  boost::json::value get(std::string_view path);
  boost::json::value post(std::string_view path, const boost::json::value& body);
  boost::json::value patch(std::string_view path, const boost::json::value& body);
  // Calls on_event for every event until the stream ends or on_event returns false.
  void stream(std::string_view path, const boost::json::value& body,
              const std::function<bool(const http::SseEvent&)>& on_event);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera::app
