#include "engine/model_runner.h"

#include <algorithm>

#include "engine/request_error.h"

namespace tessera {

ModelRunner::ModelRunner(LanguageModel& model, KvCache& kv, ThreadPool& pool, int usable_vocab)
    : model_(model),
      kv_(kv),
      pool_(pool),
      usable_vocab_(usable_vocab),
      samplers_(pool.threads()),
      shared_rows_(pool.threads()) {}

const std::vector<SequenceResult>& ModelRunner::run(const StepPlan& plan) {
  for (const BlockCopy& copy : plan.copies) kv_.copy_block(copy.from, copy.to);
  results_.clear();
  results_.resize(plan.sequences.size());
  try {
    forward(plan.sequences, results_.data());
  } catch (const std::exception&) {
    for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
      results_[i] = {};
      try {
        forward(std::span(plan.sequences).subspan(i, 1), &results_[i]);
      } catch (const std::exception& e) {
        results_[i] = {};
        results_[i].error = forward_error(e);
      }
    }
  }
  return results_;
}

void ModelRunner::forward(std::span<const ScheduledSequence> sequences, SequenceResult* results) {
  packed_.pack(sequences, kv_.block_size());
  model_.forward(packed_.batch(), kv_, logits_);

  jobs_.clear();
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const ScheduledSequence& scheduled = sequences[i];
    Sequence& sequence = *scheduled.sequence;
    int row = packed_.first_logit_row(static_cast<int>(i));
    if (row < 0) continue;
    if (wants_prompt_logprobs(sequence)) {
      try {
        read_prompt_logprobs(scheduled, row, results[i]);
      } catch (const std::exception& e) {
        results[i].error = forward_error(e);
      }
      row += scheduled.tokens - 1;
    }
    if (!scheduled.reaches_end() || results[i].error || sequence.sampling->max_tokens == 0) {
      continue;
    }
    const bool is_shared = !sequence.forks.empty();
    results[i].tokens.resize(1 + sequence.forks.size());
    for (std::size_t s = 0; s < results[i].tokens.size(); ++s) {
      Sequence* sample = s == 0 ? &sequence : sequence.forks[s - 1];
      jobs_.push_back({logits_.row(row), is_shared, sample, &results[i].tokens[s], i, {}});
    }
  }
  sample(results);
}

// The logits of position p say how likely the prompt's token p + 1 was.
void ModelRunner::read_prompt_logprobs(const ScheduledSequence& scheduled, int first_row,
                                       SequenceResult& result) {
  const Sequence& sequence = *scheduled.sequence;
  const int top = *sequence.sampling->prompt_logprobs;
  int done = sequence.prompt_logprobs_done;
  if (done == 0) {
    result.prompt_logprobs.emplace_back();
    done = 1;
  }
  const int end = std::min(sequence.computed + scheduled.tokens, sequence.prompt_tokens - 1);
  // After a preemption the first rows may repeat what was reported before.
  for (int position = done - 1; position < end; ++position) {
    const float* row = logits_.row(first_row + position - sequence.computed);
    result.prompt_logprobs.push_back(samplers_[0].prompt_logprob(
        {row, static_cast<std::size_t>(usable_vocab_)}, sequence.tokens[position + 1], top));
  }
}

void ModelRunner::sample(SequenceResult* results) {
  const auto body = [this](int index, int thread) {
    SampleJob& job = jobs_[index];
    const Sequence& sequence = *job.sequence;
    std::span<float> logits(job.row, static_cast<std::size_t>(usable_vocab_));
    if (job.row_is_shared) {
      auto& copy = shared_rows_[thread];
      copy.assign(logits.begin(), logits.end());
      logits = copy;
    }
    SampleContext context;
    context.output_token_ids = sequence.output();
    context.end_token_ids = sequence.end_token_ids;
    if (uses_penalties(*sequence.sampling)) context.counts = &sequence.counts;
    context.key = sequence.key;
    try {
      *job.result = samplers_[thread].sample(logits, *sequence.sampling, context);
    } catch (const std::exception& e) {
      job.error = forward_error(e);
    }
  };
  if (jobs_.size() == 1) {
    body(0, 0);
  } else if (!jobs_.empty()) {
    pool_.run(static_cast<int>(jobs_.size()), body);
  }
  for (SampleJob& job : jobs_) {
    if (job.error) results[job.scheduled].error = std::move(job.error);
  }
}

}  // namespace tessera
