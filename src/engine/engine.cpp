#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>

#include "engine/embedding_loop.h"
#include "engine/generation_loop.h"
#include "engine/mailbox.h"
#include "engine/model_path.h"
#include "engine/request_error.h"

namespace tessera {
namespace {

void check_ids(std::span<const std::int32_t> ids, int vocab_size, const std::string& param) {
  for (std::int32_t id : ids) {
    if (id >= 0 && id < vocab_size) continue;
    throw Error(ErrorKind::kBadTokenId,
                param + " contains token id " + std::to_string(id) + ", but the vocabulary has " +
                    std::to_string(vocab_size) + " tokens",
                param);
  }
}

}  // namespace

struct Engine::Impl {
  Impl(const EngineOptions& options, std::unique_ptr<ThreadPool> pool, LoadedModel model);
  ~Impl();

  // Any thread.
  void check(const GenerationRequest& request) const;
  void check(const EmbeddingRequest& request) const;
  std::uint64_t random_key();
  template <class State>
  std::unique_ptr<State> new_state();
  template <class State>
  std::shared_ptr<Ticket> submit(std::unique_ptr<State> state);

  // Engine thread.
  void loop();
  void read(Mailbox::Message& message);
  void step();
  void publish_stats();
  void fail_all();

  const EngineOptions options_;
  const std::unique_ptr<ThreadPool> pool_;
  const LoadedModel model_;
  const ModelInfo& info_;
  int usable_vocab_ = 0;
  int max_model_len_ = 0;

  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::optional<GenerationLoop> generation_;  // one of the two, as the model is;
  std::optional<EmbeddingLoop> embedding_;    // used by the engine thread only

  std::atomic<std::uint64_t> next_id_{1};
  std::mutex stats_mutex_;  // guards stats_
  EngineStats stats_;
  std::mutex random_mutex_;  // guards random_
  std::mt19937_64 random_{std::random_device{}()};
  std::thread thread_;
};

Engine::Impl::Impl(const EngineOptions& options, std::unique_ptr<ThreadPool> pool,
                   LoadedModel model)
    : options_(options),
      pool_(std::move(pool)),
      model_(std::move(model)),
      info_(model_.language ? model_.language->info() : model_.embedding->info()),
      usable_vocab_(info_.vocab_size) {
  if (options.usable_vocab > 0) usable_vocab_ = std::min(usable_vocab_, options.usable_vocab);
  if (model_.language) {
    generation_.emplace(options, *model_.language, *pool_, usable_vocab_, *mailbox_);
    max_model_len_ = generation_->max_model_len();
  } else {
    embedding_.emplace(*model_.embedding, *mailbox_);
    max_model_len_ = info_.context_length;
    if (options.max_model_len > 0) max_model_len_ = std::min(max_model_len_, options.max_model_len);
  }
  publish_stats();
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
    throw context_length_error(max_model_len_, prompt_tokens, std::max(1, sampling.max_tokens),
                               "prompt");
  }
}

void Engine::Impl::check(const EmbeddingRequest& request) const {
  if (!model_.embedding) {
    throw Error(ErrorKind::kWrongTask,
                "this model generates text; it does not make embeddings (architecture " +
                    info_.architecture + ")");
  }
  if (request.inputs.empty()) {
    throw Error(ErrorKind::kArrayLength, "input has 0 entries, but needs at least 1", "input");
  }
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    const std::string param = "input[" + std::to_string(i) + "]";
    if (request.inputs[i].empty()) {
      throw Error(ErrorKind::kBadValue, param + " has no tokens; at least one is needed", param);
    }
    check_ids(request.inputs[i], usable_vocab_, param);
    const auto size = static_cast<std::int64_t>(request.inputs[i].size());
    if (size > max_model_len_) throw context_length_error(max_model_len_, size, 0, param);
  }
}

std::uint64_t Engine::Impl::random_key() {
  std::lock_guard lock(random_mutex_);
  return random_();
}

template <class State>
std::unique_ptr<State> Engine::Impl::new_state() {
  auto state = std::make_unique<State>();
  state->ticket = std::make_shared<Ticket>();
  state->ticket->mailbox = mailbox_;
  state->ticket->id = next_id_++;
  return state;
}

template <class State>
std::shared_ptr<Ticket> Engine::Impl::submit(std::unique_ptr<State> state) {
  auto ticket = state->ticket;
  {
    std::lock_guard lock(mailbox_->mutex);
    if (mailbox_->is_closed) throw shutting_down_error();
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
  const auto has_work = [this] {
    return generation_ ? generation_->has_work() : embedding_->has_work();
  };
  while (true) {
    {
      std::unique_lock lock(mailbox_->mutex);
      mailbox_->wake.wait(
          lock, [&] { return mailbox_->is_closed || !mailbox_->messages.empty() || has_work(); });
      if (mailbox_->is_closed) break;
      messages.swap(mailbox_->messages);
    }
    for (Mailbox::Message& message : messages) read(message);
    messages.clear();
    if (has_work()) step();
    publish_stats();
  }
  fail_all();
}

void Engine::Impl::read(Mailbox::Message& message) {
  if (auto* generation = std::get_if<std::unique_ptr<RequestState>>(&message)) {
    generation_->begin(std::move(*generation));
  } else if (auto* embedding = std::get_if<std::unique_ptr<EmbedState>>(&message)) {
    embedding_->begin(std::move(*embedding));
  } else if (const auto* cancelled = std::get_if<Mailbox::Cancel>(&message)) {
    if (generation_) {
      generation_->cancel(cancelled->id);
    } else {
      embedding_->cancel(cancelled->id);
    }
  } else if (generation_) {
    const auto& stopped = std::get<Mailbox::StopSample>(message);
    generation_->stop_sample(stopped.id, stopped.sample);
  }
}

void Engine::Impl::step() {
  try {
    if (generation_) {
      generation_->step();
    } else {
      embedding_->step();
    }
  } catch (const std::exception& e) {
    // Not a request's forward pass, which is caught where it belongs: out of memory, or our
    // mistake.
    const Error error = forward_error(e);
    if (generation_) {
      generation_->fail_all(error);
    } else {
      embedding_->fail_all(error);
    }
  }
}

void Engine::Impl::publish_stats() {
  const EngineStats stats = generation_ ? generation_->stats() : embedding_->stats();
  std::lock_guard lock(stats_mutex_);
  stats_ = stats;
}

void Engine::Impl::fail_all() {
  const Error error = shutting_down_error();
  if (generation_) {
    generation_->fail_all(error);
  } else {
    embedding_->fail_all(error);
  }
  std::vector<Mailbox::Message> unread;
  {
    std::lock_guard lock(mailbox_->mutex);
    unread.swap(mailbox_->messages);
  }
  for (Mailbox::Message& message : unread) {
    if (auto* generation = std::get_if<std::unique_ptr<RequestState>>(&message)) {
      GenerationEvent event;
      event.error = error;
      (*generation)->request.on_event(std::move(event));
    } else if (auto* embedding = std::get_if<std::unique_ptr<EmbedState>>(&message)) {
      (*embedding)->request.on_done(error);
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
  auto state = impl_->new_state<RequestState>();
  state->submitted_at = RequestState::Clock::now();
  if (!request.sampling.seed) request.sampling.seed = impl_->random_key();
  state->request = std::move(request);
  return Handle(impl_->submit(std::move(state)));
}

Engine::Handle Engine::embed(EmbeddingRequest request) {
  impl_->check(request);
  auto state = impl_->new_state<EmbedState>();
  state->request = std::move(request);
  return Handle(impl_->submit(std::move(state)));
}

EngineStats Engine::stats() const {
  std::lock_guard lock(impl_->stats_mutex_);
  return impl_->stats_;
}

Engine::Handle::~Handle() { cancel(); }

Engine::Handle::Handle(Handle&& other) noexcept : ticket_(std::exchange(other.ticket_, nullptr)) {}

Engine::Handle& Engine::Handle::operator=(Handle&& other) noexcept {
  if (this == &other) return *this;
  cancel();
  ticket_ = std::exchange(other.ticket_, nullptr);
  return *this;
}

void Engine::Handle::cancel() {
  if (ticket_ == nullptr) return;
  Ticket& ticket = *ticket_;
  if (!ticket.is_over.exchange(true)) ticket.mailbox->post(Mailbox::Cancel{ticket.id});
  ticket_.reset();
}

void Engine::Handle::stop_sample(int sample) {
  if (ticket_ == nullptr) return;
  Ticket& ticket = *ticket_;
  if (!ticket.is_over) ticket.mailbox->post(Mailbox::StopSample{ticket.id, sample});
}

}  // namespace tessera
