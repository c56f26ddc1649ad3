#include "engine/embedding_loop.h"

#include <algorithm>
#include <utility>

#include "engine/request_error.h"

namespace tessera {

EngineStats EmbeddingLoop::stats() const {
  EngineStats stats = counters_;
  for (const auto& [id, state] : requests_) ++(state->is_started ? stats.running : stats.waiting);
  return stats;
}

void EmbeddingLoop::begin(std::unique_ptr<EmbedState> state) {
  batcher_.add(state->ticket->id, std::move(state->request.inputs));
  const std::uint64_t id = state->ticket->id;
  requests_.emplace(id, std::move(state));
}

void EmbeddingLoop::cancel(std::uint64_t id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  batcher_.remove(id);
  mailbox_.leave(found->second->is_started);
  requests_.erase(found);
}

void EmbeddingLoop::step() {
  const auto inputs = batcher_.next();
  ++counters_.steps;
  std::int64_t tokens = 0;
  for (const auto& input : inputs) tokens += static_cast<std::int64_t>(input.size());
  for (const std::uint64_t id : batcher_.in_batch())
    mailbox_.leave_queue(requests_[id]->is_started);
  try {
    packed_.pack(inputs);
    model_.forward(packed_.batch(), embeddings_);
  } catch (const std::exception& e) {
    run_one_by_one(inputs, e);
  }
  counters_.prompt_tokens += tokens;
  for (auto& done : batcher_.finish(embeddings_)) {
    end(done.id, std::move(done.embeddings));
  }
}

// Finds out which input of a failed batch is to blame; the others get their embeddings.
void EmbeddingLoop::run_one_by_one(const std::vector<std::span<const std::int32_t>>& inputs,
                                   const std::exception& failure) {
  std::vector<std::pair<std::uint64_t, Error>> failed;
  if (inputs.size() == 1) failed.emplace_back(batcher_.request_of(0), forward_error(failure));
  Tensor rows(static_cast<std::int64_t>(inputs.size()), model_.info().hidden_size), row;
  for (std::size_t i = 0; i < inputs.size() && inputs.size() > 1; ++i) {
    try {
      packed_.pack({&inputs[i], 1});
      model_.forward(packed_.batch(), row);
      std::copy_n(row.data(), row.cols(), rows.row(static_cast<std::int64_t>(i)));
    } catch (const std::exception& e) {
      failed.emplace_back(batcher_.request_of(static_cast<int>(i)), forward_error(e));
    }
  }
  embeddings_ = std::move(rows);
  for (const auto& [id, error] : failed) {
    if (!requests_.contains(id)) continue;  // another input of it failed, too
    batcher_.remove(id);
    end(id, error);
  }
}

void EmbeddingLoop::end(std::uint64_t id, Result<Embeddings> result) {
  const auto found = requests_.find(id);
  const auto state = std::move(found->second);
  requests_.erase(found);
  state->ticket->is_over = true;
  mailbox_.leave(state->is_started);
  try {
    state->request.on_done(std::move(result));
  } catch (...) {
    // As for generations: a broken client must not take the others down.
  }
}

void EmbeddingLoop::fail_all(const Error& error) {
  while (!requests_.empty()) {
    const std::uint64_t id = requests_.begin()->first;
    batcher_.remove(id);
    end(id, error);
  }
}

}  // namespace tessera
