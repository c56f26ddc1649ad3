#include "control/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace tessera::control {
namespace {

constexpr int kErrorFd = 3;  // the child's only descriptor beyond stdio; closed by a good exec

[[noreturn]] void fail(const std::string& what, int error) {
  throw Error(ErrorKind::kIo, "Cannot start '" + what + "': " + std::strerror(error) + ".");
}

struct Pipe {
  int read_end = -1, write_end = -1;
  explicit Pipe(const std::string& program) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail(program, errno);
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close_one(read_end);
    close_one(write_end);
  }
  static void close_one(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

// In the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(char* const argv[], char* const envp[], int output, int error_pipe,
                         pid_t parent) {
  ::setpgid(0, 0);  // Ctrl-C in our terminal is ours to handle
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int null = ::open("/dev/null", O_RDONLY);
  // Above the numbers that are about to be overwritten.
  const int out = ::fcntl(output, F_DUPFD, 10);
  const int err = ::fcntl(error_pipe, F_DUPFD, 10);
  ::dup2(null, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::dup2(err, kErrorFd);
  ::fcntl(kErrorFd, F_SETFD, FD_CLOEXEC);
  ::syscall(SYS_close_range, kErrorFd + 1, ~0U, 0);  // the gateway's sockets are not the child's
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (::getppid() == parent) ::execvpe(argv[0], argv, envp);  // else we are an orphan already
  const int error = errno;
  [[maybe_unused]] auto written = ::write(kErrorFd, &error, sizeof error);
  ::_exit(127);
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    if (!added.contains(std::string(text.substr(0, text.find('='))))) result.emplace_back(text);
  }
  for (const auto& [name, value] : added) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::string ExitStatus::describe() const {
  if (signal == 0) return "exited with code " + std::to_string(code);
  return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

Process Process::spawn(const asio::any_io_executor& executor, const std::vector<std::string>& argv,
                       const std::map<std::string, std::string>& environment) {
  if (argv.empty()) throw Error(ErrorKind::kIo, "Cannot start a process without a command.");
  Pipe output(argv[0]), failure(argv[0]);
  auto arguments = argv;
  auto variables = merged_environment(environment);
  auto argv_pointers = pointers(arguments), envp = pointers(variables);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) fail(argv[0], errno);
  if (pid == 0) {
    become(argv_pointers.data(), envp.data(), output.write_end, failure.write_end, parent);
  }
  Pipe::close_one(output.write_end);
  Pipe::close_one(failure.write_end);
  int error = 0;
  ssize_t count;
  do {
    count = ::read(failure.read_end, &error, sizeof error);
  } while (count < 0 && errno == EINTR);
  int pidfd = -1;
  if (count == 0) {
    pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    error = errno;
  }
  if (pidfd < 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    fail(argv[0], error);
  }
  asio::posix::stream_descriptor ended(executor, pidfd);
  asio::posix::stream_descriptor text(executor, std::exchange(output.read_end, -1));
  text.non_blocking(true);
  return Process(pid, std::move(ended), std::move(text));
}

Process::~Process() {
  if (!running()) return;
  signal(SIGKILL);
  reap();
}

void Process::signal(int number) {
  if (running()) ::kill(pid_.value, number);
}

ExitStatus Process::reap() {
  int status = 0;
  while (::waitpid(pid_.value, &status, 0) < 0 && errno == EINTR) {
  }
  pid_.value = 0;
  if (WIFSIGNALED(status)) return {0, WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

ProcessUsage process_usage(pid_t pid) {
  if (pid <= 0) return {};
  const std::string folder = "/proc/" + std::to_string(pid);
  std::ifstream stat(folder + "/stat"), statm(folder + "/statm");
  std::string line;
  std::getline(stat, line);
  // The second field is the name in parentheses and may hold anything; utime and stime are the
  // 14th and 15th (proc(5)).
  const std::size_t end = line.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream fields(line.substr(end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  long size = 0, resident = 0;
  statm >> size >> resident;
  return {(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK)),
          resident * ::sysconf(_SC_PAGESIZE)};
}

}  // namespace tessera::control
