#include "gateway/fan_out.h"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

namespace tessera::gateway {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> nothing() { co_return; }

}  // namespace

asio::awaitable<void> run_all(std::vector<asio::awaitable<void>> work) {
  const auto executor = co_await asio::this_coro::executor;
  while (work.size() < 4) work.push_back(nothing());
  auto group = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, std::move(work[0]), asio::deferred),
      asio::co_spawn(executor, std::move(work[1]), asio::deferred),
      asio::co_spawn(executor, std::move(work[2]), asio::deferred),
      asio::co_spawn(executor, std::move(work[3]), asio::deferred));
  const auto [order, a, b, c, d] =
      co_await group.async_wait(asio::experimental::wait_for_one_error(), asio::use_awaitable);
  const std::array<std::exception_ptr, 4> failures = {a, b, c, d};
  for (const std::size_t which : order) {
    if (failures[which]) std::rethrow_exception(failures[which]);
  }
}

}  // namespace tessera::gateway
