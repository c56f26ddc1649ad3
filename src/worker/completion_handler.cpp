#include "worker/completion_handler.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <numeric>

#include "api/body.h"
#include "api/completion.h"
#include "api/stream_fold.h"
#include "base/clock.h"
#include "base/strings.h"
#include "worker/generation.h"
#include "worker/new_chunk.h"
#include "worker/replies.h"
#include "worker/sampling.h"
#include "worker/sse_body.h"
#include "worker/token_scores.h"

namespace tessera {
namespace {

int candidates(const api::CompletionRequest& request) {
  return std::max(request.generation.n, request.best_of);
}

// A generation as completion chunks.
class CompletionStream {
 public:
  CompletionStream(const ServedModel& model, asio::any_io_executor executor,
                   api::CompletionRequest request, GenerationSpec spec, bool timings)
      : model_(model),
        request_(std::move(request)),
        prompts_(spec.prompts),
        identity_(reply_identity("cmpl-", request_.generation.request_id, request_.common.model,
                                 model.name)),
        wants_timings_(timings),
        samples_(spec.n),
        begun_(spec.prompts.size() * static_cast<std::size_t>(spec.n), false),
        generation_(model, std::move(executor), std::move(spec)) {
    for (std::size_t p = 0; p < prompts_.size(); ++p) {
      const api::TextOrTokens& given = request_.prompts[p];
      echoes_.push_back(
          !request_.generation.echo ? std::string()
          : given.token_ids.empty()
              ? given.text
              : model.tokenizer().decode(prompts_[p], request_.generation.skip_special_tokens));
    }
  }

  bool is_finished() const { return is_finished_; }

  asio::awaitable<std::vector<api::CompletionResponse>> next(
      Generation::Clock::time_point wake_at) {
    std::vector<api::CompletionResponse> chunks;
    const auto deltas = co_await generation_.next(wake_at);
    for (const ChoiceDelta& delta : deltas) add(delta, chunks);
    if (generation_.is_finished()) {
      is_finished_ = true;
      if (wants_timings_ && !chunks.empty()) chunks.back().timings = generation_.timings();
      if (request_.generation.include_usage || !request_.generation.stream) {
        api::CompletionResponse last = chunk();
        last.usage = generation_.usage();
        last.null_usage = false;
        chunks.push_back(std::move(last));
      }
    }
    co_return chunks;
  }

  // best_of: per prompt the n candidates with the highest mean log probability, ties by number.
  void keep_best(api::CompletionResponse& response) const {
    const int n = request_.generation.n;
    if (samples_ == n) return;
    std::vector<api::CompletionChoice> kept;
    for (std::size_t p = 0; p < prompts_.size(); ++p) {
      const int first = static_cast<int>(p) * samples_;
      std::vector<int> order(static_cast<std::size_t>(samples_));
      std::iota(order.begin(), order.end(), first);
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        return generation_.mean_logprob(a) > generation_.mean_logprob(b);
      });
      for (int i = 0; i < n; ++i) {
        kept.push_back(std::move(response.choices[static_cast<std::size_t>(order[i])]));
        kept.back().index = static_cast<int>(p) * n + i;
      }
    }
    response.choices = std::move(kept);
  }

  api::Timings timings() const { return generation_.timings(); }

 private:
  TokenNames names() const {
    return {model_.tokenizer(), request_.generation.return_tokens_as_token_ids};
  }

  api::CompletionResponse chunk() const {
    return new_chunk<api::CompletionResponse>(identity_, model_, request_.generation, generation_);
  }

  void add(const ChoiceDelta& delta, std::vector<api::CompletionResponse>& chunks) {
    const int prompt = delta.choice / samples_;
    if (!begun_[static_cast<std::size_t>(delta.choice)]) {
      begun_[static_cast<std::size_t>(delta.choice)] = true;
      begin(delta.choice, prompt, chunks);
    }
    const bool has_ids = request_.generation.return_token_ids && !delta.token_ids.empty();
    // The suffix is the last text of the choice, sent before its end.
    std::string text = delta.text;
    if (delta.finish) text += request_.suffix;
    if (text.empty() && delta.scores.empty() && !has_ids && !delta.finish) return;
    api::CompletionChoice choice;
    choice.index = delta.choice;
    choice.text = std::move(text);
    if (request_.logprobs) {
      choice.logprobs.emplace();
      const auto base = static_cast<std::int64_t>(utf8_length(echoes_[prompt]));
      for (const ScoredToken& score : delta.scores) {
        append_logprob(score, names(), base, *choice.logprobs);
      }
    }
    if (has_ids) choice.token_ids = delta.token_ids;
    if (delta.finish) {
      choice.finish_reason = to_api(*delta.finish);
      if (request_.generation.include_stop_reason) choice.stop_reason = delta.stop_reason;
    }
    chunks.push_back(chunk());
    chunks.back().choices.push_back(std::move(choice));
  }

  // What a choice has before its first token: the echo and what is known about the prompt.
  void begin(int index, int prompt, std::vector<api::CompletionResponse>& chunks) {
    const api::GenerationFields& fields = request_.generation;
    if (!fields.echo && !fields.prompt_logprobs && !fields.return_token_ids) return;
    api::CompletionChoice choice;
    choice.index = index;
    choice.text = echoes_[prompt];
    const auto& tokens = prompts_[prompt];
    const auto& logprobs = generation_.prompt_logprobs(prompt);
    if (fields.echo && request_.logprobs) {
      choice.logprobs.emplace();
      Detokenizer detokenizer(model_.tokenizer(), fields.skip_special_tokens, false);
      std::int64_t offset = 0;
      for (std::size_t i = 0; i < tokens.size() && i < logprobs.size(); ++i) {
        append_prompt_logprob(tokens[i], logprobs[i], offset, names(), *choice.logprobs);
        offset += static_cast<std::int64_t>(utf8_length(detokenizer.push(tokens[i])));
      }
    }
    if (fields.prompt_logprobs) {
      choice.prompt_logprobs = prompt_logprobs_json(tokens, logprobs, names());
    }
    if (fields.return_token_ids) choice.prompt_token_ids = tokens;
    chunks.push_back(chunk());
    chunks.back().choices.push_back(std::move(choice));
  }

  const ServedModel& model_;
  const api::CompletionRequest request_;
  const std::vector<std::vector<std::int32_t>> prompts_;
  const ReplyIdentity identity_;
  const bool wants_timings_;
  const int samples_;  // per prompt, best_of counted
  std::vector<bool> begun_;
  std::vector<std::string> echoes_;  // by prompt
  bool is_finished_ = false;
  Generation generation_;
};

std::vector<std::int32_t> encode_prompt(const api::TextOrTokens& prompt,
                                        const api::GenerationFields& fields,
                                        const ServedModel& model) {
  if (!prompt.token_ids.empty()) return prompt.token_ids;
  const bool special = fields.add_special_tokens.value_or(true);
  auto tokens = model.tokenizer().encode(prompt.text, {.add_special_tokens = special});
  // A text that spells out the BOS itself would get two of them.
  const auto bos = model.tokenizer().bos_id();
  if (special && bos && tokens.size() > 1 && tokens[0] == *bos && tokens[1] == *bos) {
    tokens.erase(tokens.begin());
  }
  return tokens;
}

GenerationSpec plan(const api::CompletionRequest& request, const ServedModel& model) {
  const api::GenerationFields& fields = request.generation;
  GenerationSpec spec;
  std::int64_t output_tokens = 0, prompt_tokens = 0;
  const bool clamp = request.error_behavior == api::ErrorBehavior::kTruncate;
  for (std::size_t i = 0; i < request.prompts.size(); ++i) {
    const std::string param =
        request.prompts.size() == 1 ? "prompt" : "prompt[" + std::to_string(i) + "]";
    auto tokens = encode_prompt(request.prompts[i], fields, model);
    if (tokens.empty()) {
      throw Error(ErrorKind::kBadValue,
                  param + " is empty, and model '" + model.name +
                      "' has no token that begins a text; it needs at least one token",
                  param);
    }
    spec.max_tokens.push_back(fit_context(tokens, fields, model, param, clamp));
    output_tokens += spec.max_tokens.back();
    prompt_tokens += static_cast<std::int64_t>(tokens.size());
    spec.prompts.push_back(std::move(tokens));
  }
  spec.n = candidates(request);
  spec.priority = fields.priority;
  spec.sampling = sampling_params(fields, model);
  if (request.logprobs) {
    spec.sampling.logprobs =
        alternatives(*request.logprobs, output_tokens * spec.n, model, "logprobs");
  } else if (spec.n > fields.n) {
    spec.sampling.logprobs = 0;  // best_of ranks by them
  }
  if (fields.prompt_logprobs) {
    spec.sampling.prompt_logprobs =
        alternatives(*fields.prompt_logprobs, prompt_tokens, model, "prompt_logprobs");
  } else if (fields.echo && request.logprobs) {
    spec.sampling.prompt_logprobs = spec.sampling.logprobs;
  }
  spec.choice = choice_options(fields);
  spec.choice.scores = request.logprobs.has_value();
  add_special_stops(model, spec.choice, spec.sampling);
  return spec;
}

}  // namespace

asio::awaitable<http::Response> handle_completion(const ServedModel& model, http::Request request) {
  const std::int64_t arrived_us = steady_us();
  require_generation(model);
  const api::Body body(request.body);
  api::CompletionRequest completion = api::parse_completion_request(body, model.parsing);
  GenerationSpec spec = plan(completion, model);
  spec.arrived_us = arrived_us;
  if (completion.error_behavior == api::ErrorBehavior::kTruncate)
    spec.cut_at = deadline_of(request);

  const bool timings = wants_timings(request);
  const bool is_stream = completion.generation.stream;
  const std::vector<std::string> ignored = completion.common.ignored_fields;
  auto stream = std::make_unique<CompletionStream>(model, co_await asio::this_coro::executor,
                                                   std::move(completion), std::move(spec), timings);
  http::Response response;
  if (is_stream) {
    response =
        stream_response(std::make_unique<SseBody<CompletionStream>>(std::move(stream)), model);
  } else {
    api::CompletionFold fold;
    co_await fold_all(*stream, fold);
    api::CompletionResponse answer = fold.finish();
    stream->keep_best(answer);
    response = http::Response::json(api::to_json(answer));
    if (timings) response.headers.set("x-tessera-timings", api::to_json(stream->timings()));
  }
  add_ignored_fields(response, ignored);
  co_return response;
}

}  // namespace tessera
