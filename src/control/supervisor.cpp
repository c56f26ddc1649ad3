#include "control/supervisor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>

#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "control/log_ring.h"
#include "http/client.h"

namespace tessera::control {
namespace {

using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr auto kFirstPoll = 5ms, kLastPoll = 100ms;
constexpr milliseconds kAnswerTime = 5'000ms;
constexpr milliseconds kReapTime = 5'000ms;  // from SIGKILL to the end
constexpr std::size_t kEndedLogsKept = 64;

// A minute of samples of one process.
class UsageWindow {
 public:
  void add(pid_t pid) {
    std::lock_guard lock(mutex_);
    if (pid != pid_) samples_.clear();
    pid_ = pid;
    if (pid == 0) return;
    samples_.push_back({Clock::now(), process_usage(pid)});
    while (samples_.back().at - samples_.front().at > 1min) samples_.pop_front();
  }
  std::optional<ProcessUsage> rate() const {
    std::lock_guard lock(mutex_);
    if (samples_.empty()) return std::nullopt;
    const Sample &first = samples_.front(), &last = samples_.back();
    const double seconds = std::chrono::duration<double>(last.at - first.at).count();
    const double cpu = last.usage.cpu_seconds - first.usage.cpu_seconds;
    return ProcessUsage{seconds > 0 ? cpu / seconds : 0, last.usage.resident_bytes};
  }

 private:
  struct Sample {
    Clock::time_point at;
    ProcessUsage usage;
  };
  mutable std::mutex mutex_;  // guards the two below
  pid_t pid_ = 0;
  std::deque<Sample> samples_;
};

// One entity from its first start to its last stop. On the strand, but for `log` and `pid`.
struct Worker {
  Worker(asio::any_io_executor executor, WorkerSpec spec, std::size_t log_bytes)
      : spec(std::move(spec)), stop_signal(executor), log(log_bytes) {
    stop_signal.expires_at(Clock::time_point::max());
  }
  void request_stop(milliseconds wait) {
    grace = std::min(grace, wait);
    if (stopping) return;
    stopping = true;
    stop_signal.expires_at(Clock::time_point::min());  // waits end at once, now and later
  }

  WorkerSpec spec;
  bool stopping = false;
  milliseconds grace = milliseconds::max();
  asio::steady_timer stop_signal;
  LogRing log;
  std::atomic<pid_t> pid{0};
  UsageWindow usage;
};

asio::awaitable<void> pause(milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(kToken);
}

// True when the process ended, false when the wait was over before.
asio::awaitable<bool> ended_within(Process& process, milliseconds limit) {
  auto outcome =
      co_await (process.ended().async_wait(asio::posix::stream_descriptor::wait_read, kToken) ||
                pause(limit));
  co_return outcome.index() == 0;
}

// Until the process ends, the worker is to stop, or `limit` has passed.
asio::awaitable<void> wait_for_news(Process& process, Worker& worker, milliseconds limit) {
  co_await (process.ended().async_wait(asio::posix::stream_descriptor::wait_read, kToken) ||
            worker.stop_signal.async_wait(kToken) || pause(limit));
}

asio::awaitable<void> wait_for_news(Process& process, Worker& worker) {
  co_await (process.ended().async_wait(asio::posix::stream_descriptor::wait_read, kToken) ||
            worker.stop_signal.async_wait(kToken));
}

bool has_ended(Process& process) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED | WNOHANG | WNOWAIT) ==
             0 &&
         info.si_pid != 0;
}

bool goes_on(const Worker& worker, Process& process) {
  return !worker.stopping && !has_ended(process);
}

void drain_output(int fd, LogRing& log) {
  char buffer[16 << 10];
  for (ssize_t count; (count = ::read(fd, buffer, sizeof buffer)) > 0;) {
    log.append({buffer, static_cast<std::size_t>(count)});
  }
}

asio::awaitable<void> copy_output(std::shared_ptr<Worker> worker, Process& process) {
  for (;;) {
    auto [error] =
        co_await process.output().async_wait(asio::posix::stream_descriptor::wait_read, kToken);
    if (error) co_return;
    char buffer[16 << 10];
    const ssize_t count = ::read(process.output().native_handle(), buffer, sizeof buffer);
    if (count > 0) worker->log.append({buffer, static_cast<std::size_t>(count)});
    if (count == 0) break;
  }
  for (;;) co_await pause(24h);  // until cancelled: that the pipe closed says nothing
}

}  // namespace

struct Supervisor::Impl : std::enable_shared_from_this<Supervisor::Impl> {
  Impl(asio::any_io_executor executor, SupervisorOptions options, Report report)
      : strand(asio::make_strand(executor)),
        options(std::move(options)),
        report(std::move(report)),
        client(strand),
        nothing_left(strand) {
    nothing_left.expires_at(Clock::time_point::max());
  }

  void tell(const Worker& worker, catalog::Deployment deployment, std::string message,
            std::vector<std::string> sockets = {}) {
    if (stopped || worker.stopping) return;
    std::lock_guard lock(report_mutex);
    if (silenced) return;
    report({worker.spec.entity_id, deployment, std::move(message), std::move(sockets), {}});
  }

  asio::awaitable<int> ask_ready(std::string socket_path, milliseconds limit);
  asio::awaitable<bool> probe(Worker& worker, Process& process);
  asio::awaitable<bool> bring_up(Worker& worker, Process& process);
  asio::awaitable<bool> look_after(Worker& worker, Process& process);
  asio::awaitable<void> shut_down(Worker& worker, Process& process);
  asio::awaitable<std::string> run_once(std::shared_ptr<Worker> worker, bool& was_ready);
  asio::awaitable<void> run(std::shared_ptr<Worker> worker);
  static asio::awaitable<void> start(std::shared_ptr<Impl> self, std::shared_ptr<Worker> worker) {
    co_await self->run(std::move(worker));
  }
  static asio::awaitable<void> stop(std::shared_ptr<Impl> self);
  void set_desired(std::vector<WorkerSpec> specs);
  void finished(const std::shared_ptr<Worker>& worker);
  std::shared_ptr<Worker> find(std::string_view entity_id) const;

  asio::strand<asio::any_io_executor> strand;
  const SupervisorOptions options;
  std::mutex report_mutex;  // guards silenced, and the callback against the owner's end
  bool silenced = false;
  const Report report;
  http::Client client;
  std::vector<std::shared_ptr<Worker>> all;  // running and ending
  bool stopped = false;
  asio::steady_timer nothing_left;
  int starts = 0;

  mutable std::mutex mutex;  // guards the two below, which other threads read
  std::map<std::string, std::shared_ptr<Worker>, std::less<>> desired;
  std::deque<std::shared_ptr<Worker>> ended;
};

// The status of the answer to GET /ready; 0: none came.
asio::awaitable<int> Supervisor::Impl::ask_ready(std::string socket_path, milliseconds limit) {
  http::ClientRequest request;
  request.origin.host = "localhost";
  request.origin.unix_path = std::move(socket_path);
  request.target = "/ready";
  request.timeouts = {limit, limit, limit};
  try {
    http::ClientResponse response = co_await client.send(std::move(request));
    const int status = response.status;
    co_await http::read_all(*response.body, 64 << 10);
    co_return status;
  } catch (const Error&) {
    co_return 0;  // not listening yet, or gone; the caller looks which
  }
}

// Whether anything answers; given up when the process ends or is to stop.
asio::awaitable<bool> Supervisor::Impl::probe(Worker& worker, Process& process) {
  const milliseconds limit = std::min(kAnswerTime, options.unresponsive_after);
  auto outcome =
      co_await (ask_ready(worker.spec.socket_path.string(), limit) ||
                process.ended().async_wait(asio::posix::stream_descriptor::wait_read, kToken) ||
                worker.stop_signal.async_wait(kToken));
  co_return outcome.index() == 0 && std::get<0>(outcome) != 0;
}

// True when the worker answers; false when it ended or is to stop.
asio::awaitable<bool> Supervisor::Impl::bring_up(Worker& worker, Process& process) {
  milliseconds poll = kFirstPoll;
  while (goes_on(worker, process)) {
    const int status = co_await ask_ready(worker.spec.socket_path.string(), kAnswerTime);
    if (status == 200 && !has_ended(process)) co_return true;
    co_await wait_for_news(process, worker, poll);
    poll = std::min<milliseconds>(poll * 3 / 2 + 1ms, kLastPoll);
  }
  co_return false;
}

// True when a worker that was ready has become silent and had to be killed; false when it ended
// by itself or is to stop.
asio::awaitable<bool> Supervisor::Impl::look_after(Worker& worker, Process& process) {
  if (options.unresponsive_after <= 0ms) {
    while (goes_on(worker, process)) co_await wait_for_news(process, worker);
    co_return false;
  }
  Clock::time_point last_answer = Clock::now();
  while (goes_on(worker, process)) {
    co_await wait_for_news(process, worker, options.probe_interval);
    if (!goes_on(worker, process)) break;
    const bool answers = co_await probe(worker, process);
    if (answers) last_answer = Clock::now();
    const bool silent = !answers && Clock::now() - last_answer >= options.unresponsive_after;
    if (silent && goes_on(worker, process)) {
      process.signal(SIGKILL);
      co_await ended_within(process, kReapTime);
      co_return true;
    }
  }
  co_return false;
}

asio::awaitable<void> Supervisor::Impl::shut_down(Worker& worker, Process& process) {
  // Requests that took the snapshot before we left it still arrive for a moment.
  const milliseconds grace = std::min(worker.grace, milliseconds(60'000));
  if (grace > 0ms) {
    const bool ended = co_await ended_within(process, grace);
    if (ended) co_return;
  }
  process.signal(SIGTERM);
  const bool obeyed = co_await ended_within(process, options.stop_deadline);
  if (obeyed) co_return;
  log_warn("control", "worker ignored SIGTERM, killing it",
           {{"entity", worker.spec.entity_name}, {"pid", process.pid()}});
  process.signal(SIGKILL);
}

// One process from spawn to end; returns why it ended.
asio::awaitable<std::string> Supervisor::Impl::run_once(std::shared_ptr<Worker> worker,
                                                        bool& was_ready) {
  WorkerSpec& spec = worker->spec;
  spec.socket_path = options.socket_folder /
                     (spec.entity_id.substr(0, 12) + "-" + std::to_string(++starts) + ".sock");
  ::unlink(spec.socket_path.c_str());
  const auto began = Clock::now();
  Process process = Process::spawn(strand, options.command(spec), spec.environment);
  worker->pid = process.pid();
  log_info(
      "control", "worker started",
      {{"endpoint", spec.endpoint_name}, {"entity", spec.entity_name}, {"pid", process.pid()}});

  bool hung = false;
  auto live = [&]() -> asio::awaitable<void> {
    const bool ready = co_await bring_up(*worker, process);
    if (ready) {
      was_ready = true;
      const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - began);
      log_info("control", "worker ready",
               {{"endpoint", spec.endpoint_name},
                {"entity", spec.entity_name},
                {"pid", process.pid()},
                {"ms", took.count()}});
      tell(*worker, catalog::Deployment::kReady, "", {spec.socket_path.string()});
    }
    hung = co_await look_after(*worker, process);
    if (worker->stopping) co_await shut_down(*worker, process);
    const bool gone = has_ended(process);
    if (!gone) co_await ended_within(process, kReapTime);  // after SIGKILL
  };
  co_await (live() || copy_output(worker, process));

  worker->pid = 0;
  const ExitStatus status = process.reap();
  drain_output(process.output().native_handle(), worker->log);
  ::unlink(spec.socket_path.c_str());
  log_info(
      "control", "worker ended",
      {{"endpoint", spec.endpoint_name}, {"entity", spec.entity_name}, {"how", status.describe()}});
  if (hung) {
    co_return "The worker did not answer for " + format_duration(options.unresponsive_after) +
        " and was killed";
  }
  std::string last_line = worker->log.last_line();
  // How the worker introduces the error it ends with.
  constexpr std::string_view kPrefix = "tessera: ";
  if (last_line.starts_with(kPrefix)) last_line.erase(0, kPrefix.size());
  std::string reason = "The worker " + status.describe();
  if (status.signal == 0 && !last_line.empty()) reason += ": " + last_line;
  co_return reason;
}

asio::awaitable<void> Supervisor::Impl::run(std::shared_ptr<Worker> worker) {
  milliseconds backoff{0};
  while (!worker->stopping) {
    bool was_ready = false;
    std::string reason;
    const auto began = Clock::now();
    try {
      reason = co_await run_once(worker, was_ready);
    } catch (const Error& error) {
      reason = error.message;
    }
    if (worker->stopping) break;
    if (!was_ready && !worker->spec.keep_trying) {
      tell(*worker, catalog::Deployment::kFailed, reason);
      break;
    }
    log_warn("control", "worker is restarted",
             {{"endpoint", worker->spec.endpoint_name},
              {"entity", worker->spec.entity_name},
              {"after_ms", backoff.count()},
              {"reason", reason}});
    tell(*worker, catalog::Deployment::kRecovering, reason);
    if (Clock::now() - began >= options.healthy_after) backoff = 0ms;
    if (backoff > 0ms) {
      co_await (worker->stop_signal.async_wait(kToken) || pause(backoff));
    }
    backoff = std::min(std::max(backoff * 2, options.first_backoff), options.max_backoff);
  }
  finished(worker);
}

void Supervisor::Impl::finished(const std::shared_ptr<Worker>& worker) {
  std::erase(all, worker);
  if (all.empty()) nothing_left.expires_at(Clock::time_point::min());
  std::lock_guard lock(mutex);
  ended.push_back(worker);
  if (ended.size() > kEndedLogsKept) ended.pop_front();
}

void Supervisor::Impl::set_desired(std::vector<WorkerSpec> specs) {
  if (stopped) return;
  std::map<std::string, std::shared_ptr<Worker>, std::less<>> next;
  for (WorkerSpec& spec : specs) {
    if (next.contains(spec.entity_id)) continue;  // one process may serve two entities
    auto it = desired.find(spec.entity_id);
    if (it != desired.end()) {
      it->second->spec.keep_trying = spec.keep_trying;
      next.insert(*it);
      continue;
    }
    auto worker = std::make_shared<Worker>(strand, std::move(spec), options.log_bytes);
    all.push_back(worker);
    nothing_left.expires_at(Clock::time_point::max());
    next.emplace(worker->spec.entity_id, worker);
    asio::co_spawn(strand, start(shared_from_this(), worker), asio::detached);
  }
  for (const auto& [id, worker] : desired) {
    if (!next.contains(id)) worker->request_stop(options.drain_grace);
  }
  std::lock_guard lock(mutex);
  desired = std::move(next);
}

asio::awaitable<void> Supervisor::Impl::stop(std::shared_ptr<Impl> self) {
  self->stopped = true;
  for (const auto& worker : std::vector(self->all)) worker->request_stop(0ms);
  while (!self->all.empty()) co_await self->nothing_left.async_wait(kToken);
}

std::shared_ptr<Worker> Supervisor::Impl::find(std::string_view entity_id) const {
  std::lock_guard lock(mutex);
  if (auto it = desired.find(entity_id); it != desired.end()) return it->second;
  for (auto it = ended.rbegin(); it != ended.rend(); ++it) {
    if ((*it)->spec.entity_id == entity_id) return *it;
  }
  return nullptr;
}

Supervisor::Supervisor(asio::any_io_executor executor, SupervisorOptions options, Report report)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(report))) {}

Supervisor::~Supervisor() {
  {
    std::lock_guard lock(impl_->report_mutex);
    impl_->silenced = true;
  }
  asio::post(impl_->strand, [impl = impl_] {
    impl->stopped = true;
    for (const auto& worker : impl->all) worker->request_stop(0ms);
  });
}

void Supervisor::set_desired(std::vector<WorkerSpec> specs) {
  asio::post(impl_->strand, [impl = impl_, specs = std::move(specs)]() mutable {
    impl->set_desired(std::move(specs));
  });
}

asio::awaitable<void> Supervisor::stop() {
  co_await asio::co_spawn(impl_->strand, Impl::stop(impl_), asio::use_awaitable);
}

std::optional<std::string> Supervisor::logs(std::string_view entity_id) const {
  auto worker = impl_->find(entity_id);
  if (!worker) return std::nullopt;
  return worker->log.text();
}

std::optional<pid_t> Supervisor::pid(std::string_view entity_id) const {
  auto worker = impl_->find(entity_id);
  if (!worker || worker->pid == 0) return std::nullopt;
  return worker->pid.load();
}

std::optional<ProcessUsage> Supervisor::usage(std::string_view entity_id) const {
  auto worker = impl_->find(entity_id);
  if (!worker) return std::nullopt;
  worker->usage.add(worker->pid);
  return worker->usage.rate();
}

void Supervisor::sample_usage() {
  std::vector<std::shared_ptr<Worker>> workers;
  {
    std::lock_guard lock(impl_->mutex);
    for (const auto& [id, worker] : impl_->desired) workers.push_back(worker);
  }
  for (const auto& worker : workers) worker->usage.add(worker->pid);
}

}  // namespace tessera::control
