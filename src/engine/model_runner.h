// Carries out a step's plan: copies blocks, runs the model, samples. Decides nothing.
#pragma once

#include <optional>
#include <vector>

#include "engine/batch.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "models/model.h"

namespace tessera {

// What a step found out for one scheduled sequence.
struct SequenceResult {
  std::vector<PromptLogprob> prompt_logprobs;  // the next ones in order
  // One per sample: the sequence itself, then its forks. Empty while the prompt is not done, and
  // when nothing is to be generated.
  std::vector<SampledToken> tokens;
  std::optional<Error> error;  // it failed; nothing else counts
};

class ModelRunner {
 public:
  // usable_vocab: rows of the logits that stand for tokens; the rest is padding.
  ModelRunner(LanguageModel& model, KvCache& kv, ThreadPool& pool, int usable_vocab);

  // One result per planned sequence. A failing forward pass is repeated sequence by sequence, so
  // that only the culprit fails.
  const std::vector<SequenceResult>& run(const StepPlan& plan);

 private:
  struct SampleJob {
    float* row;
    bool row_is_shared;
    Sequence* sequence;
    SampledToken* result;
    std::size_t scheduled;  // index of its SequenceResult
    std::optional<Error> error;
  };

  void forward(std::span<const ScheduledSequence> sequences, SequenceResult* results);
  void read_prompt_logprobs(const ScheduledSequence& scheduled, int first_row,
                            SequenceResult& result);
  void sample(SequenceResult* results);

  LanguageModel& model_;
  KvCache& kv_;
  ThreadPool& pool_;
  int usable_vocab_;
  PackedBatch packed_;
  Tensor logits_;
  std::vector<Sampler> samplers_;                // one per thread
  std::vector<std::vector<float>> shared_rows_;  // likewise
  std::vector<SampleJob> jobs_;
  std::vector<SequenceResult> results_;
};

}  // namespace tessera
