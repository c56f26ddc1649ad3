// The schema, step by step: sql/NNNN_name.sql, embedded at build time.
#pragma once

#include <span>
#include <string_view>

namespace tessera::store {

struct Migration {
  int version;
  std::string_view name;
  std::string_view sql;
};

std::span<const Migration> migrations();  // ascending by version

}  // namespace tessera::store
