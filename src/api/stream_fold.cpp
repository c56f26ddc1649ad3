#include "api/stream_fold.h"

#include <algorithm>
#include <iterator>

namespace tessera::api {
namespace {

template <class Choice>
Choice& choice_at(std::vector<Choice>& choices, int index) {
  const auto place = std::ranges::lower_bound(choices, index, {}, &Choice::index);
  if (place != choices.end() && place->index == index) return *place;
  Choice fresh;
  fresh.index = index;
  return *choices.insert(place, std::move(fresh));
}

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

template <class T>
void append(std::optional<std::vector<T>>& to, std::optional<std::vector<T>>&& from) {
  if (!from) return;
  if (!to) to.emplace();
  append(*to, std::move(*from));
}

template <class T>
void take_last(std::optional<T>& to, std::optional<T>&& from) {
  if (from) to = std::move(from);
}

// Members that come in several chunks: the last one holds.
void merge(StringPairs& to, StringPairs&& from) {
  for (auto& [name, json] : from) {
    const auto known = std::ranges::find(to, name, &StringPairs::value_type::first);
    if (known != to.end()) {
      known->second = std::move(json);
    } else {
      to.emplace_back(std::move(name), std::move(json));
    }
  }
}

// Two JSON texts of arrays into one.
void append_array(std::string& to, std::string&& from) {
  if (to.size() <= 2) {
    to = std::move(from);
  } else if (from.size() > 2) {
    to.back() = ',';
    to += std::string_view(from).substr(1);
  }
}

void add_call(std::vector<ToolCall>& calls, ToolCallDelta&& delta) {
  if (delta.index < 0) return;
  // A stream numbers its calls one after the other; a gap of thousands is a broken upstream.
  constexpr int kMaxCalls = 1024;
  const auto index = static_cast<std::size_t>(std::min(delta.index, kMaxCalls));
  if (calls.size() <= index) calls.resize(index + 1);
  ToolCall& call = calls[index];
  if (!delta.id.empty()) call.id = std::move(delta.id);
  call.name += delta.name;
  call.arguments += delta.arguments;
  if (!delta.extra_content.empty()) call.extra_content = std::move(delta.extra_content);
  if (!delta.extra_content.empty()) call.extra_content = std::move(delta.extra_content);
}

}  // namespace

void ChatFold::add(ChatChunk chunk) {
  if (response_.id.empty()) {
    response_.id = std::move(chunk.id);
    response_.created = chunk.created;
    response_.model = std::move(chunk.model);
    response_.system_fingerprint = std::move(chunk.system_fingerprint);
  }
  for (ChatChunkChoice& piece : chunk.choices) {
    ChatChoice& choice = choice_at(response_.choices, piece.index);
    if (piece.delta.content) {
      if (!choice.message.content) choice.message.content.emplace();
      *choice.message.content += *piece.delta.content;
    }
    if (piece.delta.reasoning_content) choice.reasoning_content += *piece.delta.reasoning_content;
    append_array(choice.thinking_blocks, std::move(piece.delta.thinking_blocks));
    merge(choice.message.extra, std::move(piece.delta.extra));
    merge(choice.extra, std::move(piece.extra));
    if (piece.delta.refusal) {
      if (!choice.refusal) choice.refusal.emplace();
      *choice.refusal += *piece.delta.refusal;
    }
    for (ToolCallDelta& call : piece.delta.tool_calls) {
      add_call(choice.message.tool_calls, std::move(call));
    }
    if (piece.logprobs) {
      if (!choice.logprobs) choice.logprobs.emplace();
      append(choice.logprobs->content, std::move(piece.logprobs->content));
    }
    append(choice.token_ids, std::move(piece.token_ids));
    take_last(choice.finish_reason, std::move(piece.finish_reason));
    take_last(choice.stop_reason, std::move(piece.stop_reason));
  }
  take_last(response_.usage, std::move(chunk.usage));
  take_last(response_.prompt_token_ids, std::move(chunk.prompt_token_ids));
  merge(response_.extra, std::move(chunk.extra));
}

ChatResponse ChatFold::finish() {
  for (ChatChoice& choice : response_.choices) {
    std::optional<std::string>& content = choice.message.content;
    // null exactly when there are only calls (data-plane 2.4)
    if (!choice.message.tool_calls.empty()) {
      if (content && content->empty()) content.reset();
    } else if (!content) {
      content.emplace();
    }
  }
  return std::move(response_);
}

void CompletionFold::add(CompletionResponse chunk) {
  if (response_.id.empty()) {
    response_.id = std::move(chunk.id);
    response_.created = chunk.created;
    response_.model = std::move(chunk.model);
    response_.system_fingerprint = std::move(chunk.system_fingerprint);
  }
  for (CompletionChoice& piece : chunk.choices) {
    CompletionChoice& choice = choice_at(response_.choices, piece.index);
    choice.text += piece.text;
    if (piece.logprobs) {
      if (!choice.logprobs) choice.logprobs.emplace();
      append(choice.logprobs->tokens, std::move(piece.logprobs->tokens));
      append(choice.logprobs->token_logprobs, std::move(piece.logprobs->token_logprobs));
      append(choice.logprobs->top_logprobs, std::move(piece.logprobs->top_logprobs));
      append(choice.logprobs->text_offset, std::move(piece.logprobs->text_offset));
    }
    append(choice.token_ids, std::move(piece.token_ids));
    take_last(choice.prompt_token_ids, std::move(piece.prompt_token_ids));
    if (!piece.prompt_logprobs.empty()) choice.prompt_logprobs = std::move(piece.prompt_logprobs);
    take_last(choice.finish_reason, std::move(piece.finish_reason));
    take_last(choice.stop_reason, std::move(piece.stop_reason));
    merge(choice.extra, std::move(piece.extra));
  }
  merge(response_.extra, std::move(chunk.extra));
  take_last(response_.usage, std::move(chunk.usage));
  take_last(response_.timings, std::move(chunk.timings));
}

CompletionResponse CompletionFold::finish() {
  response_.null_usage = false;
  response_.timings.reset();  // a plain answer has them in a header
  return std::move(response_);
}

}  // namespace tessera::api
