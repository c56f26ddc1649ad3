#include "worker/generation.h"

#include <algorithm>

#include "base/clock.h"

namespace tessera {

Generation::Generation(const ServedModel& model, asio::any_io_executor executor,
                       GenerationSpec spec)
    : model_(model),
      spec_(std::move(spec)),
      queue_(std::make_shared<EventQueue<Event>>(std::move(executor))) {
  const int prompts = static_cast<int>(spec_.prompts.size());
  for (int i = 0; i < prompts * spec_.n; ++i) {
    texts_.push_back(std::make_unique<ChoiceText>(model.tokenizer(), spec_.choice));
  }
  unfinished_ = static_cast<int>(texts_.size());
  for (int i = 0; i < prompts; ++i) {
    GenerationRequest request;
    request.prompt_token_ids = spec_.prompts[i];
    request.sampling = spec_.sampling;
    request.sampling.max_tokens = spec_.max_tokens[i];
    request.n = spec_.n;
    request.priority = spec_.priority;
    request.on_event = [queue = queue_, i](GenerationEvent event) {
      queue->push({i, std::move(event)});
    };
    prompts_.push_back({});
    prompts_.back().handle = model.engine.generate(std::move(request));
  }
}

Generation::~Generation() = default;

asio::awaitable<std::vector<ChoiceDelta>> Generation::next(Clock::time_point wake_at) {
  if (spec_.cut_at) wake_at = std::min(wake_at, *spec_.cut_at);
  auto events = co_await queue_->pop(wake_at);
  std::vector<ChoiceDelta> deltas;
  for (Event& event : events) take(std::move(event), deltas);
  if (spec_.cut_at && Clock::now() >= *spec_.cut_at && !is_finished()) cut_all(deltas);
  co_return deltas;
}

void Generation::take(Event event, std::vector<ChoiceDelta>& deltas) {
  Prompt& prompt = prompts_[event.prompt];
  GenerationEvent& e = event.event;
  if (e.error) {
    if (is_finished()) return;
    throw *e.error;
  }
  prompt.logprobs.insert(prompt.logprobs.end(), std::make_move_iterator(e.prompt_logprobs.begin()),
                         std::make_move_iterator(e.prompt_logprobs.end()));
  if (!e.tokens.empty() || e.finished) {
    const std::int64_t now = steady_us();
    if (first_token_us_ == 0) {
      first_token_us_ = now;
      model_.metrics.observe_first_token(static_cast<double>(now - spec_.arrived_us) * 1e-6);
    } else {
      model_.metrics.observe_token_gap(static_cast<double>(now - last_token_us_) * 1e-6);
    }
    last_token_us_ = now;
    has_begun_ = true;
    prompt.cached_tokens = std::max(prompt.cached_tokens, e.cached_tokens);
  }
  for (const GeneratedToken& token : e.tokens) {
    const int choice = event.prompt * spec_.n + token.sample;
    ChoiceText& text = *texts_[choice];
    if (text.is_finished()) continue;  // generated before the engine learnt of the stop
    // Tokens of one choice that became ready together share a delta.
    auto delta = std::find_if(deltas.begin(), deltas.end(), [&](const ChoiceDelta& d) {
      return d.choice == choice && !d.finish;
    });
    if (delta == deltas.end()) {
      deltas.emplace_back().choice = choice;
      delta = deltas.end() - 1;
    }
    if (text.push(token, *delta)) prompt.handle.stop_sample(token.sample);
    if (text.is_finished()) end_choice();
  }
  if (!e.finished) return;
  prompt.is_over = true;
  prompt.timings = e.timings;
  // Without a token to carry it, the end comes alone: max_tokens was 0.
  for (int i = 0; i < spec_.n; ++i) {
    ChoiceText& text = *texts_[event.prompt * spec_.n + i];
    if (text.is_finished()) continue;
    deltas.emplace_back().choice = event.prompt * spec_.n + i;
    text.cut(deltas.back());
    end_choice();
  }
}

void Generation::cut_all(std::vector<ChoiceDelta>& deltas) {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    if (texts_[i]->is_finished()) continue;
    deltas.emplace_back().choice = static_cast<int>(i);
    texts_[i]->cut(deltas.back());
    end_choice();
  }
  for (Prompt& prompt : prompts_) prompt.handle.cancel();
}

void Generation::end_choice() {
  if (--unfinished_ > 0) return;
  model_.metrics.observe_request(static_cast<double>(steady_us() - spec_.arrived_us) * 1e-6);
}

api::Usage Generation::usage() const {
  api::Usage usage;
  std::int64_t completion = 0, cached = 0;
  for (const auto& prompt : spec_.prompts) {
    usage.prompt_tokens += static_cast<std::int64_t>(prompt.size());
  }
  for (const auto& text : texts_) completion += text->tokens();
  for (const Prompt& prompt : prompts_) cached += prompt.cached_tokens;
  usage.completion_tokens = completion;
  usage.total_tokens = usage.prompt_tokens + completion;
  usage.cached_tokens = cached;
  return usage;
}

api::Timings Generation::timings() const {
  api::Timings timings;
  if (first_token_us_ == 0) return timings;
  timings.ttft_ms = static_cast<double>(first_token_us_ - spec_.arrived_us) * 1e-3;
  timings.decode_ms = static_cast<double>(last_token_us_ - first_token_us_) * 1e-3;
  // The first token came with the prefill.
  const auto tokens = usage().completion_tokens.value_or(0) - choices();
  if (tokens > 0 && *timings.decode_ms > 0) {
    timings.tokens_per_s = static_cast<double>(tokens) / (*timings.decode_ms * 1e-3);
  }
  // The engine's own figures are those of the slowest prompt; unknown when it was stopped early.
  double queue_ms = 0, prefill_ms = 0;
  for (const Prompt& prompt : prompts_) {
    if (!prompt.is_over) return timings;
    queue_ms = std::max(queue_ms, prompt.timings.queue_ms);
    prefill_ms = std::max(prefill_ms, prompt.timings.prefill_ms);
  }
  timings.queue_ms = queue_ms;
  timings.prefill_ms = prefill_ms;
  return timings;
}

}  // namespace tessera
