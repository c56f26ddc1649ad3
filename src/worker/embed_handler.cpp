#include "worker/embed_handler.h"

#include <boost/asio/this_coro.hpp>
#include <cmath>
#include <numeric>

#include "api/body.h"
#include "api/embedding.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/request_error.h"
#include "worker/event_queue.h"
#include "worker/replies.h"

namespace tessera {
namespace {

constexpr std::int64_t kMaxCallTokens = 300'000;  // data-plane 0.5

std::string with_instruction(const std::string& instruction, const std::string& text) {
  if (instruction.empty()) return text;
  constexpr std::string_view kWhiteSpace = " \t\r\n";
  const bool has_space = kWhiteSpace.find(instruction.back()) != std::string_view::npos;
  return instruction + (has_space ? "" : " ") + text;
}

std::vector<std::vector<std::int32_t>> encode_inputs(const api::EmbeddingRequest& request,
                                                     const ServedModel& model) {
  const int window = model.engine.max_model_len();
  std::vector<std::vector<std::int32_t>> inputs;
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    const api::TextOrTokens& input = request.inputs[i];
    const std::string param = "input[" + std::to_string(i) + "]";
    std::vector<std::int32_t> tokens = input.token_ids;
    if (tokens.empty()) {
      tokens = model.tokenizer().encode(with_instruction(request.instruction, input.text),
                                        {.add_special_tokens = request.add_special_tokens,
                                         .parse_special = model.parse_special_in_content});
    }
    if (request.truncate_prompt_tokens) {
      const int keep =
          *request.truncate_prompt_tokens < 0 ? window : *request.truncate_prompt_tokens;
      if (static_cast<int>(tokens.size()) > keep) tokens.resize(static_cast<std::size_t>(keep));
    }
    if (tokens.empty()) {
      throw Error(ErrorKind::kBadValue, param + " has no tokens; at least one is needed", param);
    }
    if (static_cast<int>(tokens.size()) > window) {
      throw context_length_error(window, static_cast<std::int64_t>(tokens.size()), 0, param);
    }
    inputs.push_back(std::move(tokens));
  }
  return inputs;
}

void normalize(std::vector<float>& v) {
  double squares = 0;
  for (float x : v) squares += static_cast<double>(x) * x;
  // As torch.nn.functional.normalize: no division by less than 1e-12.
  const double scale = 1 / std::max(std::sqrt(squares), 1e-12);
  for (float& x : v) x = static_cast<float>(x * scale);
}

}  // namespace

asio::awaitable<http::Response> handle_embeddings(const ServedModel& model, http::Request request) {
  const std::int64_t arrived_us = steady_us();
  const ModelInfo& info = model.engine.info();
  if (!info.is_embedding) {
    throw Error(ErrorKind::kWrongTask,
                "model '" + model.name + "' generates text; it does not make embeddings");
  }
  const api::Body body(request.body);
  const api::EmbeddingRequest wanted = api::parse_embedding_request(body, model.parsing);
  if (wanted.dimensions && *wanted.dimensions != info.hidden_size) {
    throw Error(ErrorKind::kUnsupportedValue,
                "dimensions is " + std::to_string(*wanted.dimensions) + ", but model '" +
                    model.name + "' only makes embeddings of " + std::to_string(info.hidden_size) +
                    " dimensions",
                "dimensions");
  }
  EmbeddingRequest work;
  work.inputs = encode_inputs(wanted, model);
  std::int64_t tokens = 0;
  for (const auto& input : work.inputs) tokens += static_cast<std::int64_t>(input.size());
  if (tokens > kMaxCallTokens) {
    throw Error(ErrorKind::kOutOfRange,
                "input has " + std::to_string(tokens) +
                    " tokens altogether; one call takes at most " + std::to_string(kMaxCallTokens),
                "input");
  }

  using Outcome = Result<std::vector<std::vector<float>>>;
  auto queue = std::make_shared<EventQueue<Outcome>>(co_await asio::this_coro::executor);
  work.on_done = [queue](Outcome outcome) { queue->push(std::move(outcome)); };
  const Engine::Handle handle = model.engine.embed(std::move(work));
  std::vector<Outcome> outcomes;
  while (outcomes.empty()) {
    outcomes = co_await queue->pop(std::chrono::steady_clock::now() + std::chrono::hours(24));
  }

  const ReplyIdentity identity = reply_identity("embd-", "", wanted.common.model, model.name);
  api::EmbeddingResponse answer;
  answer.id = identity.id;
  answer.model = identity.model;
  answer.data = std::move(outcomes.front()).value();
  if (wanted.normalize.value_or(model.engine.normalizes())) {
    for (auto& embedding : answer.data) normalize(embedding);
  }
  answer.usage.prompt_tokens = tokens;
  answer.usage.total_tokens = tokens;
  model.metrics.observe_request(static_cast<double>(steady_us() - arrived_us) * 1e-6);
  http::Response response = http::Response::json(
      api::to_json(answer, wanted.encoding_format, wanted.embed_dtype, wanted.big_endian));
  add_ignored_fields(response, wanted.common.ignored_fields);
  co_return response;
}

}  // namespace tessera
