// Runs the worker processes: one per served entity.
//
//             spawn                  /ready answers 200
//   (start) ---------> kCreating ---------------------> kReady
//                         | exit                          | exit
//                         v                               v
//          keep_trying? kRecovering <----------------- kRecovering: restart, first at once, then
//          else kFailed (final)                         after 0.5 s, 1 s, … max_backoff
//
// A ready worker is asked again every probe_interval: one that has not answered for
// unresponsive_after hangs, and is killed.
// No longer desired: wait drain_grace, SIGTERM, wait stop_deadline, SIGKILL. Everything runs on one
// strand of the executor; the public functions may be called from any thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/endpoint.h"
#include "control/options.h"
#include "control/process.h"

namespace tessera::control {

struct SupervisorOptions {
  WorkerCommand command;
  std::filesystem::path socket_folder;  // exists
  std::chrono::milliseconds first_backoff{500}, max_backoff{30'000};
  std::chrono::milliseconds healthy_after{60'000};  // a run this long forgets earlier failures
  std::chrono::milliseconds drain_grace{1'000}, stop_deadline{30'000};
  std::chrono::milliseconds probe_interval{5'000};
  std::chrono::milliseconds unresponsive_after{60'000};  // 0: never asked
  std::size_t log_bytes = 1u << 20;
};

class Supervisor {
 public:
  // `report` is called on the strand; it must not block. It is not called after stop() resolved.
  using Report = std::function<void(catalog::EntityReport)>;

  Supervisor(asio::any_io_executor executor, SupervisorOptions options, Report report);
  ~Supervisor();  // without stop() before: the processes are told to stop, nobody waits for them

  // Starts what is missing and stops, gracefully, what is not listed.
  void set_desired(std::vector<WorkerSpec> specs);
  // Stops all; resolves when no process is left.
  asio::awaitable<void> stop();

  // Of a running worker or of one of the last that ended; nullopt: never heard of.
  std::optional<std::string> logs(std::string_view entity_id) const;
  std::optional<pid_t> pid(std::string_view entity_id) const;  // while it runs
  // Over about the last minute: cpu_seconds per second, and memory now.
  std::optional<ProcessUsage> usage(std::string_view entity_id) const;
  // Takes a sample for usage(); call it every few seconds.
  void sample_usage();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tessera::control
