#include "engine/batch.h"

namespace tessera {

bool wants_prompt_logprobs(const Sequence& sequence) {
  return sequence.sampling != nullptr && sequence.sampling->prompt_logprobs &&
         sequence.prompt_logprobs_done < sequence.prompt_tokens;
}

void PackedBatch::pack(std::span<const ScheduledSequence> sequences, int block_size) {
  clear();
  for (const auto& scheduled : sequences) {
    const Sequence& sequence = *scheduled.sequence;
    const int begin = sequence.computed;
    const int end = begin + scheduled.tokens;
    const bool all_rows = wants_prompt_logprobs(sequence);
    first_row_.push_back(all_rows || scheduled.reaches_end() ? static_cast<int>(logit_rows_.size())
                                                             : -1);
    for (int position = begin; position < end; ++position) {
      if (all_rows || (position + 1 == end && scheduled.reaches_end())) {
        logit_rows_.push_back(static_cast<std::int32_t>(token_ids_.size()));
      }
      token_ids_.push_back(sequence.tokens[position]);
      positions_.push_back(position);
      slots_.push_back(std::int64_t{sequence.block_table[position / block_size]} * block_size +
                       position % block_size);
    }
    cu_seqlens_.push_back(static_cast<std::int32_t>(token_ids_.size()));
    block_tables_.emplace_back(sequence.block_table);
  }
  publish();
}

void PackedBatch::pack(std::span<const std::span<const std::int32_t>> inputs) {
  clear();
  for (const auto& input : inputs) {
    token_ids_.insert(token_ids_.end(), input.begin(), input.end());
    for (std::size_t i = 0; i < input.size(); ++i) {
      positions_.push_back(static_cast<std::int32_t>(i));
    }
    cu_seqlens_.push_back(static_cast<std::int32_t>(token_ids_.size()));
  }
  publish();
}

void PackedBatch::clear() {
  token_ids_.clear();
  positions_.clear();
  cu_seqlens_.assign(1, 0);
  logit_rows_.clear();
  slots_.clear();
  block_tables_.clear();
  first_row_.clear();
}

void PackedBatch::publish() {
  batch_ = {token_ids_, positions_, cu_seqlens_, slots_, block_tables_, logit_rows_};
}

}  // namespace tessera
