// Tokens and temporary keys that cost a call to get, one per identity (external-providers 3, 9.2,
// 10.2). Renewed early; while one caller renews, the others go on with the old one, or wait where
// there is none. Any thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "providers/aws_sigv4.h"

namespace tessera::gateway {

namespace asio = boost::asio;

struct Minted {
  std::string token;              // of OAuth
  providers::AwsCredentials aws;  // of STS
  std::int64_t refresh_at_s = 0, expires_at_s = 0;
};
using MintedPtr = std::shared_ptr<const Minted>;

class TokenCache {
 public:
  using Fetch = std::function<asio::awaitable<Minted>()>;

  explicit TokenCache(std::function<std::int64_t()> now_s = tessera::now_s)
      : now_s_(std::move(now_s)) {}

  // `identity`: everything that the token depends on; it is kept as its hash. The caller runs on a
  // strand. One fetch is in flight per identity, run by the caller that found the token missing or
  // old; its Error is that of all who wait, unless the old token is still valid.
  asio::awaitable<MintedPtr> get(std::string identity, Fetch fetch);

  // The upstream refused it: the next get() fetches anew. Nothing happens when it was replaced
  // meanwhile.
  void forget(std::string_view identity, const MintedPtr& refused);

 private:
  struct Waiter;
  struct Entry {
    MintedPtr current;
    std::int64_t next_refresh_s = 0;  // not before, after one that failed
    bool in_flight = false;
    std::vector<std::shared_ptr<Waiter>> waiters;
  };
  class Flight;

  void prune(std::int64_t now_s);  // with mutex_ held

  std::function<std::int64_t()> now_s_;
  std::mutex mutex_;  // guards entries_
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace tessera::gateway
