#include "models/embedding_table.h"

#include "compute/row_chunks.h"
#include "models/architectures.h"

namespace tessera {

void EmbeddingTable::embed(std::span<const std::int32_t> token_ids, Tensor& x,
                           ThreadPool& pool) const {
  if (head_ == nullptr) return tessera::embed(token_ids, *stored_, x, pool);
  check_token_ids(token_ids, head_->out_features());
  x.resize(static_cast<std::int64_t>(token_ids.size()), head_->in_features());
  for_row_ranges(x.rows(), x.cols(), pool, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      head_->read_row(token_ids[static_cast<std::size_t>(t)], x.row(t));
    }
  });
}

}  // namespace tessera
