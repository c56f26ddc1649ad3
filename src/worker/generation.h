// One HTTP request's share of the engine: its prompts, each with n samples, as a stream of deltas.
//
// Used on one strand. Dropping it cancels everything within one engine step.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/fields.h"
#include "engine/engine.h"
#include "worker/choice_text.h"
#include "worker/event_queue.h"
#include "worker/served_model.h"

namespace tessera {

struct GenerationSpec {
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<int> max_tokens;  // of each prompt
  SamplingParams sampling;      // max_tokens is taken from above
  int n = 1;
  int priority = 0;
  ChoiceOptions choice;
  std::int64_t arrived_us = 0;  // steady_us() when the request came in
  // error_behavior "truncate": what exists then is the answer.
  std::optional<std::chrono::steady_clock::time_point> cut_at;
};

class Generation {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts at once. Throws what Engine::generate throws.
  Generation(const ServedModel& model, asio::any_io_executor executor, GenerationSpec spec);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // What happened since the last call, choices in order of their tokens; waits for something to
  // happen, at most until `wake_at`, then an empty list. Throws the request's Error.
  asio::awaitable<std::vector<ChoiceDelta>> next(Clock::time_point wake_at);

  bool is_finished() const { return unfinished_ == 0; }
  // Whether any token has been seen, or the end where no token was wanted.
  bool has_begun() const { return has_begun_; }
  int choices() const { return static_cast<int>(texts_.size()); }
  double mean_logprob(int choice) const { return texts_[choice]->mean_logprob(); }

  api::Usage usage() const;      // so far
  api::Timings timings() const;  // complete when finished
  // Of one prompt; all of them once has_begun() or finished.
  const std::vector<PromptLogprob>& prompt_logprobs(int prompt) const {
    return prompts_[prompt].logprobs;
  }

 private:
  struct Event {
    int prompt;
    GenerationEvent event;
  };
  struct Prompt {
    Engine::Handle handle;
    std::vector<PromptLogprob> logprobs;
    int cached_tokens = 0;
    bool is_over = false;
    GenerationTimings timings;
  };
  void take(Event event, std::vector<ChoiceDelta>& deltas);
  void cut_all(std::vector<ChoiceDelta>& deltas);
  void end_choice();

  const ServedModel& model_;
  const GenerationSpec spec_;
  std::shared_ptr<EventQueue<Event>> queue_;
  std::vector<Prompt> prompts_;
  std::vector<std::unique_ptr<ChoiceText>> texts_;  // prompt * n + sample
  int unfinished_ = 0;                              // choices
  bool has_begun_ = false;
  std::int64_t first_token_us_ = 0, last_token_us_ = 0;
};

}  // namespace tessera
