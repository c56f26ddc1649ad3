// Several pieces of work at once, on the caller's strand.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <vector>

namespace tessera::gateway {

// At most four. The first that throws cancels the others and is rethrown once they have unwound.
boost::asio::awaitable<void> run_all(std::vector<boost::asio::awaitable<void>> work);

}  // namespace tessera::gateway
