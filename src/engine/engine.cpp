#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <unordered_map>

#include "engine/batch.h"
#include "engine/block_manager.h"
#include "engine/embed_batcher.h"
#include "engine/kv_sizing.h"
#include "engine/mailbox.h"
#include "engine/model_path.h"
#include "engine/model_runner.h"
#include "engine/request_state.h"
#include "engine/scheduler.h"

namespace tessera {
namespace {

using Clock = RequestState::Clock;

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

Error shutting_down() {
  return Error(ErrorKind::kShuttingDown, "the server is shutting down; try again elsewhere");
}

Error forward_error(const std::exception& e) {
  if (const auto* error = dynamic_cast<const Error*>(&e)) return *error;
  return Error(ErrorKind::kEngineFailure, std::string("the forward pass failed: ") + e.what());
}

void check_ids(std::span<const std::int32_t> ids, int vocab_size, const std::string& param) {
  for (std::int32_t id : ids) {
    if (id >= 0 && id < vocab_size) continue;
    throw Error(ErrorKind::kBadTokenId,
                param + " contains token id " + std::to_string(id) + ", but the vocabulary has " +
                    std::to_string(vocab_size) + " tokens",
                param);
  }
}

Error context_exceeded(int context, std::int64_t input, std::int64_t output, std::string param) {
  Error error(ErrorKind::kContextLengthExceeded,
              "This model's maximum context length is " + std::to_string(context) +
                  " tokens. However, your request has " + std::to_string(input) +
                  " input tokens and asks for " + std::to_string(output) +
                  " output tokens. Reduce the input or max_tokens.",
              std::move(param));
  error.extra = {{"n_prompt_tokens", input}, {"n_ctx", context}};
  return error;
}

}  // namespace

struct Engine::Handle::State {
  std::shared_ptr<Ticket> ticket;
};

struct Engine::Impl {
  Impl(const EngineOptions& options, std::unique_ptr<ThreadPool> pool, LoadedModel model);
  ~Impl();

  // Any thread.
  void check(const GenerationRequest& request) const;
  std::uint64_t random_key();
  std::shared_ptr<Ticket> new_ticket();
  template <class State>
  std::shared_ptr<Ticket> submit(std::unique_ptr<State> state);

  // Engine thread.
  void loop();
  void begin(std::unique_ptr<RequestState> state);
  void begin(std::unique_ptr<EmbedState> state);
  void cancel(std::uint64_t id);
  void stop_sample(std::uint64_t id, int sample);
  void step();
  void settle(const ScheduledSequence& scheduled, const SequenceResult& result);
  void accept(Sequence& sequence, const SampledToken& sampled);
  void finish(Sequence& sequence);
  void fail(RequestState& state, const Error& error);
  void remove_sequences(RequestState& state);
  void touch(RequestState& state);
  void deliver();
  void embed_step();
  void embed_one_by_one(const std::vector<std::span<const std::int32_t>>& inputs,
                        const std::exception& failure);
  void end_embedding(std::uint64_t id, Result<std::vector<std::vector<float>>> result);
  void leave_queue(bool& is_started);
  void leave(bool was_started);
  void publish_stats();
  void fail_all();

  const EngineOptions options_;
  std::unique_ptr<ThreadPool> pool_;
  LoadedModel model_;
  const ModelInfo& info_;
  int usable_vocab_ = 0;
  int max_model_len_ = 0;
  std::vector<std::int32_t> eos_token_ids_;

  // Language models.
  std::optional<KvCache> kv_;
  std::optional<BlockManager> blocks_;
  std::optional<Scheduler> scheduler_;
  std::optional<ModelRunner> runner_;
  std::unordered_map<std::uint64_t, std::unique_ptr<RequestState>> requests_;
  std::vector<RequestState*> touched_;

  // Encoders.
  EmbedBatcher batcher_;
  PackedBatch embed_batch_;
  Tensor embeddings_;
  std::unordered_map<std::uint64_t, std::unique_ptr<EmbedState>> embed_requests_;

  EngineStats counters_;

  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::atomic<std::uint64_t> next_id_{1};
  std::mutex stats_mutex_;  // guards published_
  EngineStats published_;
  std::mutex random_mutex_;  // guards random_
  std::mt19937_64 random_{std::random_device{}()};
  std::thread thread_;
};

Engine::Impl::Impl(const EngineOptions& options, std::unique_ptr<ThreadPool> pool,
                   LoadedModel model)
    : options_(options),
      pool_(std::move(pool)),
      model_(std::move(model)),
      info_(model_.language ? model_.language->info() : model_.embedding->info()) {
  usable_vocab_ = info_.vocab_size;
  if (options.usable_vocab > 0) usable_vocab_ = std::min(usable_vocab_, options.usable_vocab);
  eos_token_ids_ = info_.eos_token_ids;
  for (std::int32_t id : options.eos_token_ids) {
    if (std::find(eos_token_ids_.begin(), eos_token_ids_.end(), id) == eos_token_ids_.end()) {
      eos_token_ids_.push_back(id);
    }
  }
  if (model_.language) {
    const KvSize size = size_kv(options, info_, available_memory());
    max_model_len_ = size.max_model_len;
    kv_.emplace(info_.num_hidden_layers, info_.num_kv_heads, info_.head_dim, size.blocks,
                options.block_size, options.kv_type);
    blocks_.emplace(size.blocks, options.block_size, options.prefix_cache);
    SchedulerOptions scheduling;
    scheduling.max_num_seqs = options.max_num_seqs;
    scheduling.max_step_tokens = options.max_step_tokens;
    scheduler_.emplace(scheduling, *blocks_);
    runner_.emplace(*model_.language, *kv_, *pool_, usable_vocab_);
    counters_.kv_blocks = size.blocks;
  } else {
    max_model_len_ = info_.context_length;
    if (options.max_model_len > 0) max_model_len_ = std::min(max_model_len_, options.max_model_len);
  }
  published_ = counters_;
  thread_ = std::thread([this] { loop(); });
}

Engine::Impl::~Impl() {
  {
    std::lock_guard lock(mailbox_->mutex);
    mailbox_->is_closed = true;
  }
  mailbox_->wake.notify_one();
  thread_.join();
}

// --- Any thread --------------------------------------------------------------------------------

void Engine::Impl::check(const GenerationRequest& request) const {
  if (!model_.language) {
    throw Error(ErrorKind::kWrongTask,
                "this model makes embeddings; it cannot generate text (architecture " +
                    info_.architecture + ")");
  }
  const SamplingParams& sampling = request.sampling;
  if (request.prompt_token_ids.empty()) {
    throw Error(ErrorKind::kBadValue, "the prompt has no tokens; at least one is needed", "prompt");
  }
  if (request.n < 1 || request.n > options_.max_num_seqs) {
    throw Error(ErrorKind::kOutOfRange,
                "n is " + std::to_string(request.n) + ", but must be between 1 and " +
                    std::to_string(options_.max_num_seqs),
                "n");
  }
  if (sampling.max_tokens < 0) {
    throw Error(ErrorKind::kOutOfRange,
                "max_tokens is " + std::to_string(sampling.max_tokens) + ", but must be at least 0",
                "max_tokens");
  }
  check_ids(request.prompt_token_ids, usable_vocab_, "prompt");
  check_ids(sampling.allowed_token_ids, usable_vocab_, "allowed_token_ids");
  check_ids(sampling.stop_token_ids, usable_vocab_, "stop_token_ids");
  for (const auto& [id, bias] : sampling.logit_bias)
    check_ids({&id, 1}, usable_vocab_, "logit_bias");
  const auto prompt_tokens = static_cast<std::int64_t>(request.prompt_token_ids.size());
  if (prompt_tokens >= max_model_len_) {
    throw context_exceeded(max_model_len_, prompt_tokens, std::max(1, sampling.max_tokens),
                           "prompt");
  }
}

std::uint64_t Engine::Impl::random_key() {
  std::lock_guard lock(random_mutex_);
  return random_();
}

std::shared_ptr<Ticket> Engine::Impl::new_ticket() {
  auto ticket = std::make_shared<Ticket>();
  ticket->mailbox = mailbox_;
  ticket->id = next_id_++;
  return ticket;
}

template <class State>
std::shared_ptr<Ticket> Engine::Impl::submit(std::unique_ptr<State> state) {
  auto ticket = state->ticket;
  {
    std::lock_guard lock(mailbox_->mutex);
    if (mailbox_->is_closed) throw shutting_down();
    if (mailbox_->queued >= options_.max_waiting) {
      Error error(ErrorKind::kQueueFull,
                  std::to_string(mailbox_->queued) +
                      " requests are waiting already, which is the limit; this one would stand at "
                      "position " +
                      std::to_string(mailbox_->queued + 1));
      // The queue moves on by one whenever one of the running requests ends.
      const double seconds =
          mailbox_->queued * mailbox_->service_seconds / std::max(1, mailbox_->running);
      error.retry_after_s = static_cast<int>(std::clamp(std::ceil(seconds), 1.0, 60.0));
      error.extra = {{"queue_length", mailbox_->queued}};
      throw error;
    }
    ++mailbox_->queued;
    mailbox_->messages.push_back(std::move(state));
  }
  mailbox_->wake.notify_one();
  return ticket;
}

// --- Engine thread -----------------------------------------------------------------------------

void Engine::Impl::loop() {
  std::vector<Mailbox::Message> messages;
  while (true) {
    {
      std::unique_lock lock(mailbox_->mutex);
      mailbox_->wake.wait(lock, [&] {
        return mailbox_->is_closed || !mailbox_->messages.empty() || !requests_.empty() ||
               !embed_requests_.empty();
      });
      if (mailbox_->is_closed) break;
      messages.swap(mailbox_->messages);
    }
    for (auto& message : messages) {
      if (auto* generation = std::get_if<std::unique_ptr<RequestState>>(&message)) {
        begin(std::move(*generation));
      } else if (auto* embedding = std::get_if<std::unique_ptr<EmbedState>>(&message)) {
        begin(std::move(*embedding));
      } else if (const auto* cancelled = std::get_if<Mailbox::Cancel>(&message)) {
        cancel(cancelled->id);
      } else {
        const auto& stopped = std::get<Mailbox::StopSample>(message);
        stop_sample(stopped.id, stopped.sample);
      }
    }
    messages.clear();
    deliver();  // what stop_sample() finished
    if (!requests_.empty()) step();
    if (!embed_requests_.empty()) embed_step();
    publish_stats();
  }
  fail_all();
}

void Engine::Impl::begin(std::unique_ptr<RequestState> state) {
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
  scheduler_->add(first);
  requests_.emplace(s.ticket->id, std::move(state));
}

void Engine::Impl::begin(std::unique_ptr<EmbedState> state) {
  batcher_.add(state->ticket->id, std::move(state->request.inputs));
  const std::uint64_t id = state->ticket->id;
  embed_requests_.emplace(id, std::move(state));
}

void Engine::Impl::cancel(std::uint64_t id) {
  if (const auto found = requests_.find(id); found != requests_.end()) {
    remove_sequences(*found->second);
    leave(found->second->is_started);
    std::erase(touched_, found->second.get());
    requests_.erase(found);
  } else if (const auto embed = embed_requests_.find(id); embed != embed_requests_.end()) {
    batcher_.remove(id);
    leave(embed->second->is_started);
    embed_requests_.erase(embed);
  }
}

void Engine::Impl::stop_sample(std::uint64_t id, int sample) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  RequestState& state = *found->second;
  if (sample < 0 || sample >= static_cast<int>(state.sequences.size())) return;
  Sequence& sequence = *state.sequences[sample];
  if (!sequence.finished) finish(sequence);
}

void Engine::Impl::step() {
  const auto begin = Clock::now();
  const StepPlan plan = scheduler_->plan();
  ++counters_.steps;
  for (const auto& scheduled : plan.sequences) {
    RequestState& state = *scheduled.sequence->request;
    if (state.is_started) continue;
    state.started_at = begin;
    leave_queue(state.is_started);
  }
  const auto& results = runner_->run(plan);
  scheduler_->settle(plan, std::chrono::duration<double, std::nano>(Clock::now() - begin).count());
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) settle(plan.sequences[i], results[i]);
  deliver();
}

void Engine::Impl::settle(const ScheduledSequence& scheduled, const SequenceResult& result) {
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
    if (!fork->finished) scheduler_->fork(sequence, *fork);
  }
  if (sequence.finished) {  // stopped while its siblings still needed its prefill
    scheduler_->remove(sequence);
  } else {
    accept(sequence, result.tokens[0]);
  }
  for (std::size_t i = 0; i < forks.size(); ++i) {
    if (!forks[i]->finished) accept(*forks[i], result.tokens[i + 1]);
  }
}

void Engine::Impl::accept(Sequence& sequence, const SampledToken& sampled) {
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
  } else if (sequence.generated() >= sampling.max_tokens || sequence.size() >= max_model_len_) {
    token.finish = FinishReason::kLength;
  }
  touch(state);
  const bool is_last = token.finish.has_value();
  state.event.tokens.push_back(std::move(token));
  if (is_last) finish(sequence);
}

void Engine::Impl::finish(Sequence& sequence) {
  RequestState& state = *sequence.request;
  sequence.finished = true;
  // Siblings that wait for this one's prefill keep it going; settle() removes it then.
  const bool is_needed = std::any_of(sequence.forks.begin(), sequence.forks.end(),
                                     [](const Sequence* fork) { return !fork->finished; });
  if (!is_needed) scheduler_->remove(sequence);
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

void Engine::Impl::fail(RequestState& state, const Error& error) {
  remove_sequences(state);
  touch(state);
  state.is_over = true;
  state.event.error = error;
}

void Engine::Impl::remove_sequences(RequestState& state) {
  for (const auto& sequence : state.sequences) {
    sequence->finished = true;
    scheduler_->remove(*sequence);
  }
}

void Engine::Impl::touch(RequestState& state) {
  if (std::exchange(state.is_touched, true)) return;
  touched_.push_back(&state);
}

void Engine::Impl::deliver() {
  for (RequestState* state : touched_) {
    state->is_touched = false;
    if (state->is_over) {
      state->ticket->is_over = true;
      if (state->is_started) {
        std::lock_guard lock(mailbox_->mutex);
        const double seconds = ms_between(state->started_at, Clock::now()) / 1000;
        mailbox_->service_seconds = mailbox_->service_seconds == 0
                                        ? seconds
                                        : 0.9 * mailbox_->service_seconds + 0.1 * seconds;
      }
      leave(state->is_started);
    }
    try {
      state->request.on_event(std::exchange(state->event, {}));
    } catch (...) {
      // The treaty forbids it; a broken client must not take the others down.
      if (!state->is_over) remove_sequences(*state), leave(state->is_started);
      state->is_over = true;
    }
    if (state->is_over) requests_.erase(state->ticket->id);
  }
  touched_.clear();
}

void Engine::Impl::embed_step() {
  const auto inputs = batcher_.next();
  ++counters_.steps;
  std::int64_t tokens = 0;
  for (const auto& input : inputs) tokens += static_cast<std::int64_t>(input.size());
  for (const std::uint64_t id : batcher_.in_batch()) leave_queue(embed_requests_[id]->is_started);
  try {
    embed_batch_.pack(inputs);
    model_.embedding->forward(embed_batch_.batch(), embeddings_);
  } catch (const std::exception& e) {
    embed_one_by_one(inputs, e);
  }
  counters_.prompt_tokens += tokens;
  for (auto& done : batcher_.finish(embeddings_)) {
    end_embedding(done.id, std::move(done.embeddings));
  }
}

// Finds out which input of a failed batch is to blame; the others get their embeddings.
void Engine::Impl::embed_one_by_one(const std::vector<std::span<const std::int32_t>>& inputs,
                                    const std::exception& failure) {
  std::vector<std::pair<std::uint64_t, Error>> failed;
  if (inputs.size() == 1) failed.emplace_back(batcher_.request_of(0), forward_error(failure));
  Tensor rows(static_cast<std::int64_t>(inputs.size()), info_.hidden_size), row;
  for (std::size_t i = 0; i < inputs.size() && inputs.size() > 1; ++i) {
    try {
      embed_batch_.pack({&inputs[i], 1});
      model_.embedding->forward(embed_batch_.batch(), row);
      std::copy_n(row.data(), row.cols(), rows.row(static_cast<std::int64_t>(i)));
    } catch (const std::exception& e) {
      failed.emplace_back(batcher_.request_of(static_cast<int>(i)), forward_error(e));
    }
  }
  embeddings_ = std::move(rows);
  for (const auto& [id, error] : failed) {
    if (!embed_requests_.contains(id)) continue;  // another input of it failed, too
    batcher_.remove(id);
    end_embedding(id, error);
  }
}

void Engine::Impl::end_embedding(std::uint64_t id, Result<std::vector<std::vector<float>>> result) {
  const auto found = embed_requests_.find(id);
  const auto state = std::move(found->second);
  embed_requests_.erase(found);
  state->ticket->is_over = true;
  leave(state->is_started);
  try {
    state->request.on_done(std::move(result));
  } catch (...) {
    // As in deliver().
  }
}

void Engine::Impl::leave_queue(bool& is_started) {
  if (std::exchange(is_started, true)) return;
  std::lock_guard lock(mailbox_->mutex);
  --mailbox_->queued;
  ++mailbox_->running;
}

void Engine::Impl::leave(bool was_started) {
  std::lock_guard lock(mailbox_->mutex);
  --(was_started ? mailbox_->running : mailbox_->queued);
}

void Engine::Impl::publish_stats() {
  if (scheduler_) {
    counters_.running = scheduler_->running();
    counters_.waiting = scheduler_->waiting();
    counters_.kv_blocks_used = blocks_->used_blocks();
    counters_.preemptions = scheduler_->preemptions();
  } else {
    counters_.waiting = 0;
    counters_.running = 0;
    for (const auto& [id, state] : embed_requests_) {
      ++(state->is_started ? counters_.running : counters_.waiting);
    }
  }
  std::lock_guard lock(stats_mutex_);
  published_ = counters_;
}

void Engine::Impl::fail_all() {
  for (const auto& [id, state] : requests_) fail(*state, shutting_down());
  deliver();
  while (!embed_requests_.empty()) end_embedding(embed_requests_.begin()->first, shutting_down());
  std::vector<Mailbox::Message> unread;
  {
    std::lock_guard lock(mailbox_->mutex);
    unread.swap(mailbox_->messages);
  }
  for (auto& message : unread) {
    if (auto* generation = std::get_if<std::unique_ptr<RequestState>>(&message)) {
      GenerationEvent event;
      event.error = shutting_down();
      (*generation)->request.on_event(std::move(event));
    } else if (auto* embedding = std::get_if<std::unique_ptr<EmbedState>>(&message)) {
      (*embedding)->request.on_done(shutting_down());
    }
  }
}

// --- Engine ------------------------------------------------------------------------------------

namespace {

std::unique_ptr<ThreadPool> make_pool(const EngineOptions& options) {
  return std::make_unique<ThreadPool>(options.threads);
}

LoadedModel load(const EngineOptions& options, ThreadPool& pool) {
  LoadOptions load_options;
  load_options.weight_format = options.weight_format;
  load_options.max_sequence_length = options.max_model_len;
  return load_model(resolve_model_path(options.model_path), load_options, pool);
}

}  // namespace

Engine::Engine(const EngineOptions& options) {
  auto pool = make_pool(options);
  LoadedModel model = load(options, *pool);
  impl_ = std::make_unique<Impl>(options, std::move(pool), std::move(model));
}

Engine::Engine(const EngineOptions& options, std::unique_ptr<ThreadPool> pool, LoadedModel model)
    : impl_(std::make_unique<Impl>(options, std::move(pool), std::move(model))) {}

Engine::~Engine() = default;

const ModelInfo& Engine::info() const { return impl_->info_; }
int Engine::max_model_len() const { return impl_->max_model_len_; }
bool Engine::normalizes() const {
  return impl_->model_.embedding != nullptr && impl_->model_.embedding->normalizes();
}

Engine::Handle Engine::generate(GenerationRequest request) {
  impl_->check(request);
  auto state = std::make_unique<RequestState>();
  state->ticket = impl_->new_ticket();
  state->submitted_at = Clock::now();
  if (!request.sampling.seed) request.sampling.seed = impl_->random_key();
  state->request = std::move(request);
  auto shared = std::make_shared<Handle::State>();
  shared->ticket = impl_->submit(std::move(state));
  Handle handle;
  handle.state_ = std::move(shared);
  return handle;
}

Engine::Handle Engine::embed(EmbeddingRequest request) {
  if (!impl_->model_.embedding) {
    throw Error(ErrorKind::kWrongTask,
                "this model generates text; it does not make embeddings "
                "(architecture " +
                    info().architecture + ")");
  }
  if (request.inputs.empty()) {
    throw Error(ErrorKind::kArrayLength, "input has 0 entries, but needs at least 1", "input");
  }
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    const std::string param = "input[" + std::to_string(i) + "]";
    if (request.inputs[i].empty()) {
      throw Error(ErrorKind::kBadValue, param + " has no tokens; at least one is needed", param);
    }
    check_ids(request.inputs[i], impl_->usable_vocab_, param);
    const auto size = static_cast<std::int64_t>(request.inputs[i].size());
    if (size > max_model_len()) throw context_exceeded(max_model_len(), size, 0, param);
  }
  auto state = std::make_unique<EmbedState>();
  state->ticket = impl_->new_ticket();
  state->request = std::move(request);
  auto shared = std::make_shared<Handle::State>();
  shared->ticket = impl_->submit(std::move(state));
  Handle handle;
  handle.state_ = std::move(shared);
  return handle;
}

EngineStats Engine::stats() const {
  EngineStats stats;
  {
    std::lock_guard lock(impl_->stats_mutex_);
    stats = impl_->published_;
  }
  return stats;
}

Engine::Handle::~Handle() { cancel(); }

Engine::Handle::Handle(Handle&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Engine::Handle& Engine::Handle::operator=(Handle&& other) noexcept {
  if (this == &other) return *this;
  cancel();
  state_ = std::exchange(other.state_, nullptr);
  return *this;
}

void Engine::Handle::cancel() {
  if (state_ == nullptr) return;
  Ticket& ticket = *state_->ticket;
  if (!ticket.is_over.exchange(true)) ticket.mailbox->post(Mailbox::Cancel{ticket.id});
  state_.reset();
}

void Engine::Handle::stop_sample(int sample) {
  if (state_ == nullptr) return;
  Ticket& ticket = *state_->ticket;
  if (!ticket.is_over) ticket.mailbox->post(Mailbox::StopSample{ticket.id, sample});
}

}  // namespace tessera
