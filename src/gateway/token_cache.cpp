#include "gateway/token_cache.h"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "base/crypto.h"
#include "base/log.h"

namespace tessera::gateway {
namespace {

constexpr std::int64_t kRetryRefreshSeconds = 30;  // while the old token is valid
constexpr std::size_t kMostEntries = 4096;

}  // namespace

// Sleeps on a timer that never expires; what is below is touched on the waiter's strand only.
struct TokenCache::Waiter {
  explicit Waiter(const asio::any_io_executor& executor)
      : timer(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer timer;
  bool woken = false;
  std::optional<Error> failure;
};

// Ends a fetch, however it ends: those who wait look again, or get its Error.
class TokenCache::Flight {
 public:
  Flight(TokenCache& cache, std::string key) : cache_(cache), key_(std::move(key)) {}
  Flight(const Flight&) = delete;
  ~Flight() {
    std::vector<std::shared_ptr<Waiter>> waiters;
    {
      std::lock_guard lock(cache_.mutex_);
      Entry& entry = cache_.entries_[key_];
      entry.in_flight = false;
      waiters.swap(entry.waiters);
      if (result) {
        entry.current = result;
        entry.next_refresh_s = result->refresh_at_s;
      } else {
        entry.next_refresh_s = cache_.now_s_() + kRetryRefreshSeconds;
      }
    }
    for (auto& waiter : waiters) {
      const auto executor = waiter->timer.get_executor();
      asio::post(executor, [waiter = std::move(waiter), failure = failure] {
        waiter->woken = true;
        waiter->failure = failure;
        waiter->timer.cancel();
      });
    }
  }

  MintedPtr result;
  std::optional<Error> failure;

 private:
  TokenCache& cache_;
  std::string key_;
};

void TokenCache::prune(std::int64_t now_s) {
  if (entries_.size() < kMostEntries) return;
  std::erase_if(entries_, [&](const auto& item) {
    const Entry& entry = item.second;
    return !entry.in_flight && (!entry.current || entry.current->expires_at_s <= now_s);
  });
}

asio::awaitable<MintedPtr> TokenCache::get(std::string identity, Fetch fetch) {
  const auto executor = co_await asio::this_coro::executor;
  const std::string key = sha256_hex(identity);
  for (;;) {
    std::shared_ptr<Waiter> waiter;
    MintedPtr old;
    {
      std::lock_guard lock(mutex_);
      const std::int64_t now = now_s_();
      prune(now);
      Entry& entry = entries_[key];
      if (entry.current && entry.current->expires_at_s > now) {
        if (entry.in_flight || now < entry.next_refresh_s) co_return entry.current;
        old = entry.current;
      }
      if (entry.in_flight) {
        waiter = std::make_shared<Waiter>(executor);
        entry.waiters.push_back(waiter);
      } else {
        entry.in_flight = true;
      }
    }
    if (waiter) {
      boost::system::error_code ignored;
      co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (!waiter->woken) throw boost::system::system_error(asio::error::operation_aborted);
      if (waiter->failure) throw *waiter->failure;
      continue;
    }
    Flight flight(*this, key);
    try {
      Minted minted = co_await fetch();
      flight.result = std::make_shared<const Minted>(std::move(minted));
      co_return flight.result;
    } catch (const Error& error) {
      if (!old) {
        flight.failure = error;
        throw;
      }
      log_warn("gateway", "a token could not be renewed; the old one is still valid",
               {{"reason", error.message}});
    }
    co_return old;
  }
}

void TokenCache::forget(std::string_view identity, const MintedPtr& refused) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(sha256_hex(identity));
  if (found != entries_.end() && found->second.current == refused) found->second.current = nullptr;
}

}  // namespace tessera::gateway
