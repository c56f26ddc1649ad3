#include "engine/embed_batcher.h"

#include <algorithm>
#include <numeric>

namespace tessera {

void EmbedBatcher::add(std::uint64_t id, std::vector<std::vector<std::int32_t>> inputs) {
  Job job{id, std::move(inputs), {}, 0, 0, {}};
  job.order.resize(job.inputs.size());
  std::iota(job.order.begin(), job.order.end(), 0);
  std::stable_sort(job.order.begin(), job.order.end(),
                   [&](int a, int b) { return job.inputs[a].size() < job.inputs[b].size(); });
  job.embeddings.resize(job.inputs.size());
  jobs_.push_back(std::move(job));
}

void EmbedBatcher::remove(std::uint64_t id) {
  jobs_.remove_if([id](const Job& job) { return job.id == id; });
}

std::vector<std::span<const std::int32_t>> EmbedBatcher::next() {
  batch_.clear();
  std::vector<std::span<const std::int32_t>> spans;
  std::size_t budget = static_cast<std::size_t>(batch_tokens_);
  bool is_full = false;
  while (!is_full) {
    bool took_any = false;
    for (Job& job : jobs_) {
      if (job.next == job.order.size()) continue;
      const int index = job.order[job.next];
      const auto& input = job.inputs[index];
      if (!spans.empty() && input.size() > budget) {
        is_full = true;
        break;
      }
      ++job.next;
      budget -= std::min(budget, input.size());
      spans.emplace_back(input);
      batch_.push_back({job.id, index});
      took_any = true;
    }
    is_full |= !took_any || budget == 0;
  }
  // Next time another one begins.
  if (jobs_.size() > 1) jobs_.splice(jobs_.end(), jobs_, jobs_.begin());
  return spans;
}

std::vector<std::uint64_t> EmbedBatcher::in_batch() const {
  std::vector<std::uint64_t> ids;
  for (const Item& item : batch_) {
    if (std::find(ids.begin(), ids.end(), item.id) == ids.end()) ids.push_back(item.id);
  }
  return ids;
}

std::vector<EmbedBatcher::Done> EmbedBatcher::finish(const Tensor& embeddings) {
  std::vector<Done> finished;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    Job* job = find(batch_[i].id);
    if (job == nullptr) continue;  // removed meanwhile
    const float* row = embeddings.row(static_cast<std::int64_t>(i));
    job->embeddings[batch_[i].index].assign(row, row + embeddings.cols());
    if (++job->done < job->inputs.size()) continue;
    finished.push_back({job->id, std::move(job->embeddings)});
    remove(finished.back().id);
  }
  batch_.clear();
  return finished;
}

EmbedBatcher::Job* EmbedBatcher::find(std::uint64_t id) {
  const auto job =
      std::find_if(jobs_.begin(), jobs_.end(), [id](const Job& j) { return j.id == id; });
  return job == jobs_.end() ? nullptr : &*job;
}

}  // namespace tessera
