// Cuts the client's connections at their deadlines: one timer for all of them, looked at every 50
// ms, instead of one per request. Any thread.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <mutex>

#include "http/connection.h"

namespace tessera::http {

class ConnectionWatch;

// Unregisters before the descriptor is closed, so the watch never touches one of somebody else.
struct Unwatch {
  std::shared_ptr<ConnectionWatch> watch;
  std::list<Connection*>::iterator place;
  void operator()(Connection* connection) const;
};

// A connection from its making to its end.
using WatchedConnection = std::unique_ptr<Connection, Unwatch>;

class ConnectionWatch : public std::enable_shared_from_this<ConnectionWatch> {
 public:
  explicit ConnectionWatch(asio::any_io_executor executor) : timer_(std::move(executor)) {}

  WatchedConnection adopt(std::unique_ptr<Connection> connection);
  void set_deadline(Connection& connection, std::chrono::milliseconds limit);

 private:
  friend struct Unwatch;
  void start();  // with mutex_ held
  void look();

  std::mutex mutex_;  // guards watched_ and timer_
  std::list<Connection*> watched_;
  asio::steady_timer timer_;
  std::atomic<bool> watching_{false};
};

inline void set_deadline(const WatchedConnection& connection, std::chrono::milliseconds limit) {
  connection.get_deleter().watch->set_deadline(*connection, limit);
}

}  // namespace tessera::http
