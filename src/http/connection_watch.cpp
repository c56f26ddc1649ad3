#include "http/connection_watch.h"

#include <sys/socket.h>

namespace tessera::http {
namespace {

using Clock = Connection::Clock;

constexpr std::chrono::milliseconds kTick{50};

}  // namespace

void Unwatch::operator()(Connection* connection) const {
  {
    std::lock_guard lock(watch->mutex_);
    watch->watched_.erase(place);
  }
  delete connection;
}

WatchedConnection ConnectionWatch::adopt(std::unique_ptr<Connection> connection) {
  std::lock_guard lock(mutex_);
  auto place = watched_.insert(watched_.end(), connection.get());
  return WatchedConnection(connection.release(), Unwatch{shared_from_this(), place});
}

void ConnectionWatch::set_deadline(Connection& connection, std::chrono::milliseconds limit) {
  connection.deadline = (Clock::now() + limit).time_since_epoch().count();
  if (!watching_.load()) {
    std::lock_guard lock(mutex_);
    start();
  }
}

void ConnectionWatch::start() {
  if (watching_.exchange(true)) return;
  timer_.expires_after(kTick);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (error) return;
    if (auto self = weak.lock()) self->look();
  });
}

// Cuts a connection at its moment by shutting the socket down: safe from any thread, and whatever
// waits for the connection wakes up.
void ConnectionWatch::look() {
  std::lock_guard lock(mutex_);
  watching_ =
      false;  // before the look: a deadline set meanwhile is either seen here or starts anew
  Clock::rep now = Clock::now().time_since_epoch().count();
  bool any = false;
  for (Connection* connection : watched_) {
    Clock::rep deadline = connection->deadline.load();
    if (deadline == Connection::kNever) continue;
    if (deadline > now) {
      any = true;
      continue;
    }
    connection->timed_out = true;
    ::shutdown(connection->transport.socket().native_handle(), SHUT_RDWR);
  }
  if (any) start();
}

}  // namespace tessera::http
