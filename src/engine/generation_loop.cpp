#include "engine/generation_loop.h"

#include <algorithm>
#include <utility>

#include "engine/request_error.h"

namespace tessera {
namespace {

using Clock = RequestState::Clock;

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

SchedulerOptions scheduler_options(const EngineOptions& options, const ModelInfo& info) {
  SchedulerOptions scheduling;
  scheduling.max_num_seqs = options.max_num_seqs;
  scheduling.max_step_tokens = options.max_step_tokens;
  scheduling.max_prompt_step_tokens = StepBudget::alone_for(info.weight_bytes, info.hidden_size);
  return scheduling;
}

}  // namespace

GenerationLoop::GenerationLoop(const EngineOptions& options, LanguageModel& model, ThreadPool& pool,
                               int usable_vocab, Mailbox& mailbox)
    : eos_token_ids_(model.info().eos_token_ids),
      mailbox_(mailbox),
      kv_size_(size_kv(options, model.info(), available_memory())),
      kv_(model.info().num_hidden_layers, model.info().num_kv_heads, model.info().head_dim,
          kv_size_.blocks, options.block_size, options.kv_type),
      blocks_(kv_size_.blocks, options.block_size, options.prefix_cache),
      scheduler_(scheduler_options(options, model.info()), blocks_),
      runner_(model, kv_, pool, usable_vocab) {
  for (std::int32_t id : options.eos_token_ids) {
    if (std::find(eos_token_ids_.begin(), eos_token_ids_.end(), id) == eos_token_ids_.end()) {
      eos_token_ids_.push_back(id);
    }
  }
}

EngineStats GenerationLoop::stats() const {
  EngineStats stats = counters_;
  stats.running = scheduler_.running();
  stats.waiting = scheduler_.waiting();
  stats.kv_blocks = blocks_.blocks();
  stats.kv_blocks_used = blocks_.used_blocks();
  stats.kv_resident_bytes = kv_.bytes() / blocks_.blocks() * blocks_.touched_blocks();
  stats.preemptions = scheduler_.preemptions();
  return stats;
}

void GenerationLoop::begin(std::unique_ptr<RequestState> state) {
  RequestState& s = *state;
  const SamplingParams& sampling = s.request.sampling;
  s.end_token_ids = sampling.stop_token_ids;
  if (!sampling.ignore_eos) {
    s.end_token_ids.insert(s.end_token_ids.end(), eos_token_ids_.begin(), eos_token_ids_.end());
  }
  const std::uint64_t key = sampling.seed.value_or(0);
  for (int i = 0; i < s.request.n; ++i) {
    auto sequence = std::make_unique<Sequence>();
    sequence->request = &s;
    sequence->sampling = &sampling;
    sequence->end_token_ids = s.end_token_ids;
    sequence->sample = i;
    sequence->key = key + static_cast<std::uint64_t>(i);
    sequence->tokens = s.request.prompt_token_ids;
    sequence->prompt_tokens = static_cast<int>(sequence->tokens.size());
    sequence->priority = s.request.priority;
    sequence->arrival = s.ticket->id;
    // Their logits have to be computed, cached or not.
    sequence->may_use_prefix_cache = !sampling.prompt_logprobs;
    if (uses_penalties(sampling)) sequence->counts.add_prompt(sequence->tokens);
    s.sequences.push_back(std::move(sequence));
  }
  Sequence& first = *s.sequences.front();
  for (int i = 1; i < s.request.n; ++i) first.forks.push_back(s.sequences[i].get());
  s.live = s.request.n;
  scheduler_.add(first);
  requests_.emplace(s.ticket->id, std::move(state));
}

void GenerationLoop::cancel(std::uint64_t id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  remove_sequences(*found->second);
  mailbox_.leave(found->second->is_started);
  requests_.erase(found);
}

void GenerationLoop::stop_sample(std::uint64_t id, int sample) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  RequestState& state = *found->second;
  if (sample < 0 || sample >= static_cast<int>(state.sequences.size())) return;
  Sequence& sequence = *state.sequences[sample];
  if (!sequence.finished) finish(sequence);
  deliver();  // perhaps that was the last one
}

void GenerationLoop::step() {
  const auto begin = Clock::now();
  const StepPlan plan = scheduler_.plan();
  ++counters_.steps;
  for (const auto& scheduled : plan.sequences) {
    RequestState& state = *scheduled.sequence->request;
    if (state.is_started) continue;
    state.started_at = begin;
    mailbox_.leave_queue(state.is_started);
  }
  const auto& results = runner_.run(plan);
  scheduler_.settle(plan, std::chrono::duration<double, std::nano>(Clock::now() - begin).count());
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) settle(plan.sequences[i], results[i]);
  deliver();
}

void GenerationLoop::settle(const ScheduledSequence& scheduled, const SequenceResult& result) {
  Sequence& sequence = *scheduled.sequence;
  RequestState& state = *sequence.request;
  if (state.is_over) return;  // a sibling has failed in this step
  counters_.prompt_tokens += std::clamp(
      sequence.prompt_tokens - (sequence.computed - scheduled.tokens), 0, scheduled.tokens);
  if (result.error) return fail(state, *result.error);
  if (!result.prompt_logprobs.empty()) {
    touch(state);
    state.event.prompt_logprobs.insert(state.event.prompt_logprobs.end(),
                                       result.prompt_logprobs.begin(),
                                       result.prompt_logprobs.end());
    sequence.prompt_logprobs_done += static_cast<int>(result.prompt_logprobs.size());
  }
  if (sequence.uncomputed() > 0) return;  // more of the prompt to come

  const std::vector<Sequence*> forks = std::exchange(sequence.forks, {});
  touch(state);
  if (!state.has_token) {
    state.has_token = true;
    state.first_token_at = Clock::now();
    state.event.cached_tokens = sequence.cached_tokens;
    counters_.cached_tokens += sequence.cached_tokens;
  }
  if (state.request.sampling.max_tokens == 0) {
    for (const auto& each : state.sequences) {
      if (!each->finished) finish(*each);
    }
    return;
  }
  // All forks before the first token, which may end the parent and free its blocks.
  for (Sequence* fork : forks) {
    if (!fork->finished) scheduler_.fork(sequence, *fork);
  }
  if (sequence.finished) {  // stopped while its siblings still needed its prefill
    scheduler_.remove(sequence);
  } else {
    accept(sequence, result.tokens[0]);
  }
  for (std::size_t i = 0; i < forks.size(); ++i) {
    if (!forks[i]->finished) accept(*forks[i], result.tokens[i + 1]);
  }
}

void GenerationLoop::accept(Sequence& sequence, const SampledToken& sampled) {
  RequestState& state = *sequence.request;
  const SamplingParams& sampling = *sequence.sampling;
  sequence.tokens.push_back(sampled.token_id);
  if (uses_penalties(sampling)) sequence.counts.add_output(sampled.token_id);
  ++counters_.generated_tokens;

  GeneratedToken token;
  token.sample = sequence.sample;
  token.token_id = sampled.token_id;
  token.logprob = sampled.logprob;
  token.top = sampled.top;
  const auto& ends = state.end_token_ids;
  if (std::find(ends.begin(), ends.end(), sampled.token_id) != ends.end()) {
    token.is_stop_token = true;
    token.finish = FinishReason::kStop;
  } else if (sequence.generated() >= sampling.max_tokens ||
             sequence.size() >= kv_size_.max_model_len) {
    token.finish = FinishReason::kLength;
  }
  touch(state);
  const bool is_last = token.finish.has_value();
  state.event.tokens.push_back(std::move(token));
  if (is_last) finish(sequence);
}

void GenerationLoop::finish(Sequence& sequence) {
  RequestState& state = *sequence.request;
  sequence.finished = true;
  // Siblings that wait for this one's prefill keep it going; settle() removes it then.
  const bool is_needed = std::any_of(sequence.forks.begin(), sequence.forks.end(),
                                     [](const Sequence* fork) { return !fork->finished; });
  if (!is_needed) scheduler_.remove(sequence);
  if (--state.live > 0) return;
  // The last of the forks was stopped before it began: its parent only ran for it.
  remove_sequences(state);
  touch(state);
  state.is_over = true;
  state.event.finished = true;
  const auto now = Clock::now();
  const auto started = state.is_started ? state.started_at : now;
  const auto first = state.has_token ? state.first_token_at : now;
  state.event.timings = {ms_between(state.submitted_at, started), ms_between(started, first),
                         ms_between(first, now)};
}

void GenerationLoop::fail(RequestState& state, const Error& error) {
  remove_sequences(state);
  touch(state);
  state.is_over = true;
  state.event.error = error;
}

void GenerationLoop::remove_sequences(RequestState& state) {
  for (const auto& sequence : state.sequences) {
    sequence->finished = true;
    scheduler_.remove(*sequence);
  }
}

void GenerationLoop::touch(RequestState& state) {
  if (std::exchange(state.is_touched, true)) return;
  touched_.push_back(&state);
}

void GenerationLoop::deliver() {
  for (RequestState* state : touched_) {
    state->is_touched = false;
    if (state->is_over) {
      state->ticket->is_over = true;
      if (state->is_started) {
        mailbox_.observe_service(ms_between(state->started_at, Clock::now()) / 1000);
      }
      mailbox_.leave(state->is_started);
    }
    try {
      state->request.on_event(std::exchange(state->event, {}));
    } catch (...) {
      // The treaty forbids it; a broken client must not take the others down.
      if (!state->is_over) {
        remove_sequences(*state);
        mailbox_.leave(state->is_started);
      }
      state->is_over = true;
    }
    if (state->is_over) requests_.erase(state->ticket->id);
  }
  touched_.clear();
}

void GenerationLoop::fail_all(const Error& error) {
  for (const auto& [id, state] : requests_) fail(*state, error);
  deliver();
}

}  // namespace tessera
