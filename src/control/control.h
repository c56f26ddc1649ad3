// The control plane of one installation: REST for people and tools, the processes of the served
// entities, and the snapshots that the gateway reads.
//
// Order of construction in app: DataFolder, Database, SnapshotHolder, Control, Router and its
// routes, Server. The router's handlers refer to Control: stop the server first, then await stop(),
// then destroy. The executor's threads must live until stop() has resolved (the workers are killed
// with the thread that started them).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "catalog/snapshot.h"
#include "catalog/usage.h"
#include "control/options.h"
#include "http/router.h"
#include "store/database.h"

namespace tessera::control {

namespace asio = boost::asio;

class Control {
 public:
  Control(Options options, store::Database& database, catalog::SnapshotHolder& holder,
          asio::any_io_executor executor);
  ~Control();

  // Loads what is stored, makes what a new installation needs, publishes the first snapshot and
  // starts the workers; returns as soon as they are being started. Blocks on the disk; throws
  // Error.
  void start();
  // All routes of the control plane. After start().
  void register_routes(http::Router& router);
  // Stops the workers (SIGTERM, then SIGKILL after options.stop_deadline) and writes what is left.
  asio::awaitable<void> stop();

  // Where the first start left the admin's token.
  std::filesystem::path admin_token_file() const;
  std::string workspace_id() const;  // X-Databricks-Org-Id; after start()
  // GET /ready: at least one endpoint can answer.
  bool ready() const;
  // For the gateway's meter. Any thread, does not block; rows are written within ten seconds.
  void record_usage(catalog::UsageRecord&& record);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tessera::control
