#include "http/event_loops.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>

namespace tessera::http {

struct EventLoops::Loop {
  asio::io_context context{1};  // one thread runs it
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread{[this] { context.run(); }};
};

EventLoops::EventLoops(int count) {
  for (int i = 0; i < count; ++i) {
    loops_.push_back(std::make_unique<Loop>());
    executors_.emplace_back(loops_.back()->context.get_executor());
  }
}

// All are still before the first is destroyed: what one drops may refer to another.
EventLoops::~EventLoops() {
  for (auto& loop : loops_) loop->context.stop();
  for (auto& loop : loops_) loop->thread.join();
}

}  // namespace tessera::http
