// A `tessera worker` of our own, as a child process on a Unix socket, for as long as the object
// lives: what `bench` puts under load, so that the load generator does not share its process.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "compute/linear.h"
#include "http/client.h"

namespace tessera::app {

// "stored", "f32", "bf16", "int8", "int4"; throws Error(kBadConfiguration).
WeightFormat parse_weight_format(const std::string& text);

class WorkerProcess {
 public:
  // Starts this binary and waits until it is ready; throws Error(kBadConfiguration) when it leaves.
  WorkerProcess(const std::string& model_path, const std::string& weight_format, int threads);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  const http::Origin& origin() const { return origin_; }
  std::string model_name() const { return "bench"; }

 private:
  pid_t pid_ = -1;
  std::filesystem::path folder_;
  http::Origin origin_;
};

}  // namespace tessera::app
