// Threads that each run their own io_context. A connection lives on one of them to its end, so that
// nothing of it is locked, or handed from thread to thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <vector>

namespace tessera::http {

namespace asio = boost::asio;

class EventLoops {
 public:
  explicit EventLoops(int count);  // at least 1
  ~EventLoops();                   // stops them; what waits in them is dropped
  EventLoops(const EventLoops&) = delete;
  EventLoops& operator=(const EventLoops&) = delete;

  const std::vector<asio::any_io_executor>& executors() const { return executors_; }
  const asio::any_io_executor& first() const { return executors_.front(); }

 private:
  struct Loop;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<asio::any_io_executor> executors_;
};

}  // namespace tessera::http
