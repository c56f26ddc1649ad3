#include "control/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <fstream>

#include "base/error.h"
#include "base/strings.h"

namespace tessera::control {
namespace {

std::string output_of(Process& process) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(process.output().native_handle(), buffer, sizeof buffer);
    if (count == 0) return text;
    if (count > 0) text.append(buffer, count);
    if (count < 0) ::usleep(1000);
  }
}

TEST(Process, RunsWithOneOutputAndAnEnvironment) {
  asio::io_context context;
  Process process = Process::spawn(context.get_executor(),
                                   {"/bin/sh", "-c", "echo out; echo err >&2; echo $TESSERA_X"},
                                   {{"TESSERA_X", "a b"}});
  EXPECT_EQ(output_of(process), "out\nerr\na b\n");
  const ExitStatus status = process.reap();
  EXPECT_EQ(status.code, 0);
  EXPECT_FALSE(process.running());
}

TEST(Process, OurDescriptorsStayOurs) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);  // without close-on-exec, as some libraries leave them
  asio::io_context context;
  Process process =
      Process::spawn(context.get_executor(), {"/bin/sh", "-c", "ls /proc/self/fd | wc -l"}, {});
  // 0, 1, 2 and the one that ls has open.
  EXPECT_EQ(trim(output_of(process)), "4");
  process.reap();
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}

TEST(Process, ExitIsDescribed) {
  asio::io_context context;
  Process failing = Process::spawn(context.get_executor(), {"/bin/sh", "-c", "exit 3"}, {});
  EXPECT_EQ(failing.reap().describe(), "exited with code 3");
  Process killed = Process::spawn(context.get_executor(), {"/bin/sleep", "100"}, {});
  killed.signal(SIGKILL);
  EXPECT_EQ(killed.reap().describe(), "was killed by signal 9 (Killed)");
}

TEST(Process, MissingProgramIsNamed) {
  asio::io_context context;
  try {
    Process::spawn(context.get_executor(), {"/no/such/program"}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kIo);
    EXPECT_NE(error.message.find("/no/such/program"), std::string::npos);
  }
  EXPECT_THROW(Process::spawn(context.get_executor(), {}, {}), Error);
}

TEST(Process, TheEndIsSeenAndDestructionKills) {
  asio::io_context context;
  bool seen = false;
  pid_t pid = 0;
  {
    Process process = Process::spawn(context.get_executor(), {"/bin/sleep", "100"}, {});
    pid = process.pid();
    EXPECT_GT(process_usage(pid).resident_bytes, 0);
    process.ended().async_wait(asio::posix::stream_descriptor::wait_read,
                               [&](boost::system::error_code error) { seen = !error; });
    process.signal(SIGTERM);
    context.run_for(std::chrono::seconds(5));
    EXPECT_TRUE(seen);
  }
  EXPECT_NE(::kill(pid, 0), 0);  // reaped
  EXPECT_EQ(process_usage(pid).resident_bytes, 0);
}

}  // namespace
}  // namespace tessera::control
