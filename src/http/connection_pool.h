// The client's idle connections, by loop and origin. Any thread.
#pragma once

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <iterator>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "http/client.h"
#include "http/connection_watch.h"

namespace tessera::http {

class ConnectionPool {
 public:
  explicit ConnectionPool(const ClientOptions& options)
      : max_idle_per_origin_(options.max_idle_per_origin),
        idle_timeout_(options.idle_timeout),
        on_senders_loop_(options.on_senders_loop) {}

  // One that whoever runs on `sender` may use again; null where none is fit. `key`: pool_key().
  WatchedConnection checkout(const asio::any_io_executor& sender, const std::string& key);
  void give_back(WatchedConnection connection);
  // The client is gone: closes what is idle, and what is given back from now on.
  void close();

 private:
  using Idle = std::unordered_map<std::string, std::vector<WatchedConnection>>;  // youngest last

  // What tells loops apart; null where all connections are of one executor.
  const void* loop_of(const asio::any_io_executor& executor) const {
    return on_senders_loop_ ? &asio::query(executor, asio::execution::context) : nullptr;
  }

  const std::size_t max_idle_per_origin_;
  const std::chrono::milliseconds idle_timeout_;
  const bool on_senders_loop_;

  std::mutex mutex_;                            // guards idle_ and closed_
  std::unordered_map<const void*, Idle> idle_;  // by loop
  bool closed_ = false;
};

// Here, to be inlined into the one place that sends.
inline WatchedConnection ConnectionPool::checkout(const asio::any_io_executor& sender,
                                                  const std::string& key) {
  std::vector<WatchedConnection> stale;  // closed after the lock is released
  WatchedConnection found{nullptr, {}};
  const void* loop = loop_of(sender);
  auto oldest = Connection::Clock::now() - idle_timeout_;
  std::lock_guard lock(mutex_);
  Idle& idle = idle_[loop];
  auto entry = idle.find(key);
  if (entry == idle.end()) return found;
  auto& list = entry->second;
  while (!list.empty() && !found) {
    // The youngest first; the old ones at the front time out together.
    WatchedConnection candidate = std::move(list.back());
    list.pop_back();
    if (candidate->idle_since < oldest || is_stale(*candidate)) {
      stale.push_back(std::move(candidate));
    } else {
      found = std::move(candidate);
    }
  }
  auto young = std::find_if(list.begin(), list.end(), [&](const WatchedConnection& connection) {
    return connection->idle_since >= oldest;
  });
  std::move(list.begin(), young, std::back_inserter(stale));
  list.erase(list.begin(), young);
  return found;
}

}  // namespace tessera::http
