#include "http/connection_pool.h"

namespace tessera::http {

void ConnectionPool::give_back(WatchedConnection connection) {
  connection->deadline = Connection::kNever;
  if (connection->timed_out || !connection->in.empty()) return;
  connection->idle_since = Connection::Clock::now();
  std::lock_guard lock(mutex_);
  if (closed_) return;
  auto& list = idle_[loop_of(connection->transport.socket().get_executor())][connection->key];
  if (list.size() < max_idle_per_origin_) list.push_back(std::move(connection));
}

void ConnectionPool::close() {
  std::unordered_map<const void*, Idle> idle;  // closed after the lock is released
  std::lock_guard lock(mutex_);
  closed_ = true;
  idle.swap(idle_);
}

}  // namespace tessera::http
