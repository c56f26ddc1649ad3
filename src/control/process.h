// A child process: started in its own group, killed with us, watched through a pidfd.
#pragma once

#include <sys/types.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <map>
#include <string>
#include <vector>

namespace tessera::control {

namespace asio = boost::asio;

struct ExitStatus {
  int code = 0;                  // when signal is 0
  int signal = 0;                // that killed it
  std::string describe() const;  // "exited with code 1", "was killed by signal 9 (Killed)"
};

class Process {
 public:
  // stdin is /dev/null, stdout and stderr go to one pipe. The kernel kills the child when the
  // thread that called this ends (PR_SET_PDEATHSIG), so call it on one that lives as long as the
  // child may. Throws Error(kIo) naming the program and the reason.
  static Process spawn(const asio::any_io_executor& executor, const std::vector<std::string>& argv,
                       const std::map<std::string, std::string>& environment);
  Process(Process&&) = default;
  Process& operator=(Process&&) = delete;
  ~Process();  // kills and reaps what still runs

  pid_t pid() const { return pid_.value; }
  bool running() const { return pid_.value > 0; }
  void signal(int number);
  // Readable once the child has ended.
  asio::posix::stream_descriptor& ended() { return pidfd_; }
  asio::posix::stream_descriptor& output() { return output_; }
  ExitStatus reap();  // waits for the end

 private:
  struct Pid {
    pid_t value = 0;
    Pid(pid_t value) : value(value) {}
    Pid(Pid&& other) noexcept : value(other.value) { other.value = 0; }
  };
  Process(pid_t pid, asio::posix::stream_descriptor pidfd, asio::posix::stream_descriptor output)
      : pid_(pid), pidfd_(std::move(pidfd)), output_(std::move(output)) {}

  Pid pid_;  // 0: reaped or moved from
  asio::posix::stream_descriptor pidfd_, output_;
};

// What the process used so far; zeros when it is gone.
struct ProcessUsage {
  double cpu_seconds = 0;
  long resident_bytes = 0;
};
ProcessUsage process_usage(pid_t pid);

}  // namespace tessera::control
