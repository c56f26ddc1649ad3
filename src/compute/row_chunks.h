// Sharing the rows of a matrix out to the threads of a pool.
#pragma once

#include <algorithm>
#include <cstdint>

#include "compute/parallel.h"

namespace tessera {

// Calls body(first_row, last_row) for ranges that cover [0, rows); on the calling thread alone when
// the matrix is small.
template <class F>
void for_row_ranges(std::int64_t rows, std::int64_t cols, ThreadPool& pool, const F& body) {
  constexpr std::int64_t kInlineElements = 8192;  // about a microsecond of row work
  if (rows == 1 || rows * cols <= kInlineElements) {
    body(std::int64_t{0}, rows);
    return;
  }
  const std::int64_t chunks = std::min<std::int64_t>(rows, 4 * pool.threads());
  pool.run(static_cast<int>(chunks),
           [&](int chunk, int) { body(rows * chunk / chunks, rows * (chunk + 1) / chunks); });
}

}  // namespace tessera
