// One row per request (catalog/usage.h).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "catalog/usage.h"
#include "store/database.h"

namespace tessera::store {

class UsageStore {
 public:
  explicit UsageStore(Database& database) : database_(database) {}

  void append(std::span<const catalog::UsageRecord> records);  // one transaction
  // Newest first; an empty endpoint name: all.
  std::vector<catalog::UsageRecord> recent(std::string_view endpoint_name, int limit);
  // Returns the number of rows removed.
  std::int64_t remove_before(std::int64_t time_ms);

 private:
  Database& database_;
};

}  // namespace tessera::store
