#include "worker/chat_handler.h"

#include <boost/asio/this_coro.hpp>

#include "api/body.h"
#include "api/chat.h"
#include "api/stream_fold.h"
#include "base/clock.h"
#include "worker/chat_prompt.h"
#include "worker/generation.h"
#include "worker/new_chunk.h"
#include "worker/replies.h"
#include "worker/sampling.h"
#include "worker/sse_body.h"
#include "worker/token_scores.h"

namespace tessera {
namespace {

// A generation as chat chunks.
class ChatStream {
 public:
  ChatStream(const ServedModel& model, asio::any_io_executor executor, api::ChatRequest request,
             GenerationSpec spec, bool timings)
      : model_(model),
        request_(std::move(request)),
        prompt_(spec.prompts.front()),
        identity_(reply_identity("chatcmpl-", request_.generation.request_id, request_.common.model,
                                 model.name)),
        wants_timings_(timings),
        has_role_(static_cast<std::size_t>(spec.n), false),
        generation_(model, std::move(executor), std::move(spec)) {
    if (request_.generation.echo && request_.messages.back().role == "assistant") {
      echo_ = request_.messages.back().content.value_or("");
    }
  }

  bool is_finished() const { return is_finished_; }

  asio::awaitable<std::vector<api::ChatChunk>> next(Generation::Clock::time_point wake_at) {
    std::vector<api::ChatChunk> chunks;
    const auto deltas = co_await generation_.next(wake_at);
    for (const ChoiceDelta& delta : deltas) add(delta, chunks);
    if (generation_.is_finished()) {
      is_finished_ = true;
      // The last chunk with choices carries the timings, the one after it the usage.
      if (wants_timings_ && !chunks.empty()) chunks.back().timings = generation_.timings();
      if (request_.generation.include_usage || !request_.generation.stream) {
        api::ChatChunk last = chunk();
        last.usage = generation_.usage();
        last.null_usage = false;
        chunks.push_back(std::move(last));
      }
    }
    co_return chunks;
  }

  // For the plain answer, once finished.
  void complete(api::ChatResponse& response) const {
    if (request_.generation.prompt_logprobs) {
      response.prompt_logprobs =
          prompt_logprobs_json(prompt_, generation_.prompt_logprobs(0), names());
    }
  }
  api::Timings timings() const { return generation_.timings(); }

 private:
  TokenNames names() const {
    return {model_.tokenizer(), request_.generation.return_tokens_as_token_ids};
  }

  api::ChatChunk chunk() const {
    return new_chunk<api::ChatChunk>(identity_, model_, request_.generation, generation_);
  }

  void add(const ChoiceDelta& delta, std::vector<api::ChatChunk>& chunks) {
    if (!has_role_[delta.choice]) {
      has_role_[delta.choice] = true;
      api::ChatChunk first = chunk();
      api::ChatChunkChoice choice;
      choice.index = delta.choice;
      choice.delta.role = true;
      choice.delta.content = echo_;
      first.choices.push_back(std::move(choice));
      if (request_.generation.return_token_ids && delta.choice == 0)
        first.prompt_token_ids = prompt_;
      chunks.push_back(std::move(first));
    }
    const bool has_ids = request_.generation.return_token_ids && !delta.token_ids.empty();
    if (!delta.text.empty() || !delta.scores.empty() || has_ids) {
      api::ChatChunk text = chunk();
      api::ChatChunkChoice choice;
      choice.index = delta.choice;
      choice.delta.content = delta.text;
      if (request_.logprobs) {
        choice.logprobs.emplace();
        for (const ScoredToken& score : delta.scores) {
          choice.logprobs->content.push_back(chat_logprob(score, top_logprobs(), names()));
        }
      }
      if (has_ids) choice.token_ids = delta.token_ids;
      text.choices.push_back(std::move(choice));
      chunks.push_back(std::move(text));
    }
    if (!delta.finish) return;
    api::ChatChunk end = chunk();
    api::ChatChunkChoice choice;
    choice.index = delta.choice;
    choice.finish_reason = to_api(*delta.finish);
    if (request_.generation.include_stop_reason) choice.stop_reason = delta.stop_reason;
    end.choices.push_back(std::move(choice));
    chunks.push_back(std::move(end));
  }

  int top_logprobs() const {
    return request_.top_logprobs < 0 ? model_.tokenizer().vocab_size() : request_.top_logprobs;
  }

  const ServedModel& model_;
  const api::ChatRequest request_;
  const std::vector<std::int32_t> prompt_;
  const ReplyIdentity identity_;
  const bool wants_timings_;
  std::string echo_;
  std::vector<bool> has_role_;
  bool is_finished_ = false;
  Generation generation_;
};

GenerationSpec plan(const api::ChatRequest& request, const ServedModel& model) {
  const api::GenerationFields& fields = request.generation;
  GenerationSpec spec;
  std::vector<std::int32_t> prompt = chat_prompt(request, model);
  const int max_tokens = fit_context(prompt, fields, model, "messages", false);
  spec.sampling = sampling_params(fields, model);
  if (request.logprobs) {
    spec.sampling.logprobs = alternatives(request.top_logprobs, std::int64_t{max_tokens} * fields.n,
                                          model, "top_logprobs");
  }
  if (fields.prompt_logprobs) {
    spec.sampling.prompt_logprobs =
        alternatives(*fields.prompt_logprobs, static_cast<std::int64_t>(prompt.size()), model,
                     "prompt_logprobs");
  }
  spec.choice = choice_options(fields);
  spec.choice.scores = request.logprobs;
  spec.choice.strip_leading_space =
      model.tokenizer().strips_leading_space() && !request.continue_final_message;
  add_special_stops(model, spec.choice, spec.sampling);
  spec.n = fields.n;
  spec.priority = fields.priority;
  spec.max_tokens = {max_tokens};
  spec.prompts.push_back(std::move(prompt));
  return spec;
}

}  // namespace

asio::awaitable<http::Response> handle_chat(const ServedModel& model, http::Request request) {
  const std::int64_t arrived_us = steady_us();
  require_generation(model);
  const api::Body body(request.body);
  api::ChatRequest chat = api::parse_chat_request(body, model.parsing);
  GenerationSpec spec = plan(chat, model);
  spec.arrived_us = arrived_us;

  const bool timings = wants_timings(request);
  const bool is_stream = chat.generation.stream;
  const std::vector<std::string> ignored = chat.common.ignored_fields;
  auto stream = std::make_unique<ChatStream>(model, co_await asio::this_coro::executor,
                                             std::move(chat), std::move(spec), timings);
  http::Response response;
  if (is_stream) {
    response = stream_response(std::make_unique<SseBody<ChatStream>>(std::move(stream)), model);
  } else {
    api::ChatFold fold;
    co_await fold_all(*stream, fold);
    api::ChatResponse answer = fold.finish();
    stream->complete(answer);
    response = http::Response::json(api::to_json(answer));
    if (timings) response.headers.set("x-tessera-timings", api::to_json(stream->timings()));
  }
  add_ignored_fields(response, ignored);
  co_return response;
}

}  // namespace tessera
