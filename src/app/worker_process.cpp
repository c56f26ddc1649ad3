#include "app/worker_process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <thread>
#include <vector>

#include "base/error.h"

namespace tessera::app {
namespace {

bool is_ready(const http::Origin& origin) {
  boost::asio::io_context io;
  http::Client client(io.get_executor());
  const auto ask = [&]() -> boost::asio::awaitable<int> {
    http::ClientRequest request;
    request.origin = origin;
    request.target = "/ready";
    co_return (co_await client.send(std::move(request))).status;
  };
  auto status = boost::asio::co_spawn(io, ask(), boost::asio::use_future);
  io.run();
  try {
    return status.get() == 200;
  } catch (const Error&) {
    return false;  // not listening yet
  }
}

}  // namespace

WeightFormat parse_weight_format(const std::string& text) {
  if (text == "stored") return WeightFormat::kStored;
  if (text == "f32") return WeightFormat::kF32;
  if (text == "bf16") return WeightFormat::kBF16;
  if (text == "int8") return WeightFormat::kInt8;
  if (text == "int4") return WeightFormat::kInt4;
  throw Error(ErrorKind::kBadConfiguration,
              "--weights: got '" + text + "', want stored, f32, bf16, int8 or int4");
}

WorkerProcess::WorkerProcess(const std::string& model_path, const std::string& weight_format,
                             int threads) {
  std::string folder = (std::filesystem::temp_directory_path() / "tessera-bench-XXXXXX").string();
  if (!mkdtemp(folder.data())) throw Error(ErrorKind::kIo, "cannot make a folder like " + folder);
  folder_ = folder;
  origin_.host = "localhost";
  origin_.unix_path = (folder_ / "worker.sock").string();

  const std::vector<std::string> words{
      "tessera",         "worker",     "--model",          model_path,  "--unix-socket",
      origin_.unix_path, "--weights",  weight_format,      "--threads", std::to_string(threads),
      "--name",          model_name(), "--no-prefix-cache"};
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw Error(ErrorKind::kIo, "cannot start a worker process");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  while (!is_ready(origin_)) {
    if (int status; waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw Error(ErrorKind::kBadConfiguration, "the worker left before it was ready");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

WorkerProcess::~WorkerProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace tessera::app
