#include "control/supervisor.h"

#include <gtest/gtest.h>

#include <csignal>
#include <mutex>

#include "control/test_support.h"

namespace tessera::control {
namespace {

using catalog::Deployment;
using namespace std::chrono_literals;

class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override { make({}); }
  void make(std::function<void(SupervisorOptions&)> adjust) {
    SupervisorOptions options;
    options.command = fake_command;
    options.socket_folder = folder_.path();
    options.first_backoff = 50ms;
    options.drain_grace = 0ms;
    options.stop_deadline = 300ms;
    if (adjust) adjust(options);
    supervisor_ = std::make_unique<Supervisor>(pool_.get_executor(), options,
                                               [this](catalog::EntityReport report) {
                                                 std::lock_guard lock(mutex_);
                                                 reports_.push_back(std::move(report));
                                               });
  }
  void TearDown() override {
    if (supervisor_) stop();
    supervisor_.reset();
    pool_.join();
  }
  void stop() { asio::co_spawn(pool_, supervisor_->stop(), asio::use_future).get(); }

  WorkerSpec spec(std::string id, std::string behaviour, bool keep_trying = true) {
    const fs::path model = folder_.path() / (id + ".model");
    std::ofstream(model) << behaviour << "\n";
    WorkerSpec made;
    made.entity_id = std::move(id);
    made.entity_name = made.entity_id;
    made.model_path = model;
    made.keep_trying = keep_trying;
    return made;
  }
  std::vector<catalog::EntityReport> reports(const std::string& id) {
    std::lock_guard lock(mutex_);
    std::vector<catalog::EntityReport> result;
    for (const auto& report : reports_) {
      if (report.entity_id == id) result.push_back(report);
    }
    return result;
  }
  int count(const std::string& id, Deployment deployment) {
    int n = 0;
    for (const auto& report : reports(id)) n += report.deployment == deployment;
    return n;
  }
  bool wait_for(const std::string& id, Deployment deployment, int times = 1) {
    return eventually([&] { return count(id, deployment) >= times; });
  }

  TemporaryFolder folder_;
  asio::thread_pool pool_{2};
  std::mutex mutex_;  // guards reports_
  std::vector<catalog::EntityReport> reports_;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, StartsAndTellsTheSocket) {
  WorkerSpec wanted = spec("a", "say=hello,environment");
  wanted.environment = {{"FAKE_WORKER", "x"}};
  supervisor_->set_desired({wanted});
  ASSERT_TRUE(wait_for("a", Deployment::kReady));
  const auto report = reports("a").back();
  ASSERT_EQ(report.sockets.size(), 1u);
  EXPECT_TRUE(fs::exists(report.sockets[0]));
  EXPECT_TRUE(supervisor_->pid("a").has_value());
  EXPECT_TRUE(eventually([&] { return supervisor_->logs("a") == "hello\nFAKE_WORKER is x\n"; }));
  EXPECT_EQ(supervisor_->logs("b"), std::nullopt);
  EXPECT_GT(supervisor_->usage("a")->resident_bytes, 0);
}

TEST_F(SupervisorTest, FailedFirstStartIsFinalAndSaysWhy) {
  supervisor_->set_desired({spec("a", "fail", false)});
  ASSERT_TRUE(wait_for("a", Deployment::kFailed));
  EXPECT_EQ(reports("a").back().message,
            "The worker exited with code 3: unsupported architecture 'nonsense'");
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(reports("a").size(), 1u);
  EXPECT_TRUE(supervisor_->logs("a")->starts_with("loading\n"));
}

TEST_F(SupervisorTest, KilledWorkerIsBackAtOnce) {
  make([](SupervisorOptions& options) { options.first_backoff = 1h; });  // not before the first
  supervisor_->set_desired({spec("a", "")});
  ASSERT_TRUE(wait_for("a", Deployment::kReady));
  const pid_t first = *supervisor_->pid("a");
  ::kill(first, SIGKILL);
  ASSERT_TRUE(wait_for("a", Deployment::kReady, 2));
  EXPECT_EQ(count("a", Deployment::kRecovering), 1);
  EXPECT_EQ(reports("a")[1].message, "The worker was killed by signal 9 (Killed)");
  EXPECT_TRUE(reports("a")[1].sockets.empty());
  EXPECT_NE(*supervisor_->pid("a"), first);
}

TEST_F(SupervisorTest, SilentWorkerIsKilledAndBack) {
  make([](SupervisorOptions& options) {
    options.probe_interval = 20ms;
    options.unresponsive_after = 2s;
  });
  supervisor_->set_desired({spec("a", ""), spec("b", "")});
  ASSERT_TRUE(wait_for("a", Deployment::kReady) && wait_for("b", Deployment::kReady));
  const pid_t first = *supervisor_->pid("a"), other = *supervisor_->pid("b");
  ::kill(first, SIGSTOP);
  ASSERT_TRUE(wait_for("a", Deployment::kReady, 2));
  EXPECT_EQ(reports("a")[1].deployment, Deployment::kRecovering);
  EXPECT_EQ(reports("a")[1].message, "The worker did not answer for 2s and was killed");
  EXPECT_NE(*supervisor_->pid("a"), first);
  EXPECT_NE(::kill(first, 0), 0);
  EXPECT_EQ(supervisor_->pid("b"), other) << "it answers";
}

TEST_F(SupervisorTest, SilentWorkerIsStoppedAtOnce) {
  make([](SupervisorOptions& options) {
    options.probe_interval = 1ms;
    options.stop_deadline = 50ms;
  });
  supervisor_->set_desired({spec("a", "")});
  ASSERT_TRUE(wait_for("a", Deployment::kReady));
  const pid_t pid = *supervisor_->pid("a");
  ::kill(pid, SIGSTOP);
  std::this_thread::sleep_for(50ms);  // it is being asked now, with 5 s for the answer
  const auto began = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 4s);
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(SupervisorTest, RestartsBackOff) {
  supervisor_->set_desired({spec("a", "fail", true)});
  // At once, then after 50, 100, 200 ms.
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(wait_for("a", Deployment::kRecovering, 5));
  EXPECT_GT(std::chrono::steady_clock::now() - began, 340ms);
  EXPECT_EQ(count("a", Deployment::kFailed), 0);
}

TEST_F(SupervisorTest, StopsWhatIsNoLongerWanted) {
  const WorkerSpec a = spec("a", ""), b = spec("b", "");
  supervisor_->set_desired({a, b});
  ASSERT_TRUE(wait_for("a", Deployment::kReady) && wait_for("b", Deployment::kReady));
  const pid_t pid_a = *supervisor_->pid("a"), pid_b = *supervisor_->pid("b");
  supervisor_->set_desired({b});
  EXPECT_TRUE(eventually([&] { return ::kill(pid_a, 0) != 0; }));
  EXPECT_EQ(::kill(pid_b, 0), 0);
  EXPECT_EQ(count("a", Deployment::kRecovering), 0);
  EXPECT_NE(supervisor_->logs("a"), std::nullopt);  // kept for a while
}

TEST_F(SupervisorTest, SameIdAgainIsANewProcess) {
  const WorkerSpec a = spec("a", "");
  supervisor_->set_desired({a});
  ASSERT_TRUE(wait_for("a", Deployment::kReady));
  const std::string first = reports("a").back().sockets[0];
  supervisor_->set_desired({});
  supervisor_->set_desired({a});
  ASSERT_TRUE(wait_for("a", Deployment::kReady, 2));
  EXPECT_NE(reports("a").back().sockets[0], first);
}

TEST_F(SupervisorTest, StopKillsTheStubborn) {
  supervisor_->set_desired({spec("a", "stubborn"), spec("b", "deaf"), spec("c", "slow=60000")});
  ASSERT_TRUE(wait_for("a", Deployment::kReady));
  ASSERT_TRUE(eventually([&] { return supervisor_->pid("b") && supervisor_->pid("c"); }));
  const std::vector<pid_t> pids = {*supervisor_->pid("a"), *supervisor_->pid("b"),
                                   *supervisor_->pid("c")};
  const auto began = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  for (pid_t pid : pids) EXPECT_NE(::kill(pid, 0), 0) << pid;
  EXPECT_EQ(count("a", Deployment::kRecovering), 0);
}

TEST_F(SupervisorTest, MissingProgramFails) {
  stop();
  make([](SupervisorOptions& options) {
    options.command = [](const WorkerSpec&) { return std::vector<std::string>{"/no/such/worker"}; };
  });
  supervisor_->set_desired({spec("a", "", false)});
  ASSERT_TRUE(wait_for("a", Deployment::kFailed));
  EXPECT_NE(reports("a").back().message.find("/no/such/worker"), std::string::npos);
}

TEST_F(SupervisorTest, NobodyStopsItButNothingStaysBehind) {
  supervisor_->set_desired({spec("a", "")});
  ASSERT_TRUE(wait_for("a", Deployment::kReady));
  const pid_t pid = *supervisor_->pid("a");
  supervisor_.reset();
  EXPECT_TRUE(eventually([&] { return ::kill(pid, 0) != 0; }));
}

}  // namespace
}  // namespace tessera::control
