#include <algorithm>

#include "api/error_json.h"
#include "base/strings.h"
#include "providers/failure.h"
#include "providers/openai_like.h"
#include "providers/reading.h"
#include "providers/turns.h"

namespace tessera::providers {
namespace {

constexpr std::string_view kDone = "[DONE]";

using api::FinishReason;

// What is said in other words when the answer is not JSON or not an answer.
template <class Parse>
auto read(std::string_view provider, std::string_view text, Parse parse) {
  try {
    return parse(text);
  } catch (const Error& error) {
    throw bad_response(provider, error.message);
  }
}

FinishReason corrected(FinishReason reason, bool calls, const Memo& memo, const LikeAnswer& like) {
  const bool corrects = like.corrects_finish && calls && !memo.named_tool_choice;
  return corrects && reason == FinishReason::kStop ? FinishReason::kToolCalls : reason;
}

// A choice that is over without a word why.
FinishReason assumed(bool calls, const Memo& memo) {
  return calls && !memo.named_tool_choice ? FinishReason::kToolCalls : FinishReason::kStop;
}

void complete(api::ChatChoice& choice, const Memo& memo, const LikeAnswer& like) {
  api::ChatMessage& message = choice.message;
  for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
    api::ToolCall& call = message.tool_calls[i];
    const auto number = static_cast<std::size_t>(choice.index) * 1024 + i;
    if (call.id.empty()) call.id = synthesised_call_id(memo.seed, number);
    if (trim(call.arguments).empty()) call.arguments = "{}";
  }
  const bool calls = !message.tool_calls.empty();
  if (calls && message.content && message.content->empty()) message.content.reset();
  if (!calls && !message.content && !choice.refusal) message.content.emplace();
  choice.finish_reason =
      corrected(choice.finish_reason.value_or(assumed(calls, memo)), calls, memo, like);
}

template <class Response>
void complete_head(Response& response, std::string_view id_prefix, const Memo& memo) {
  if (response.id.empty()) response.id = make_id(id_prefix, memo);
  if (response.created == 0) response.created = memo.now_s;
  if (response.model.empty()) response.model = memo.model;
}

// --- Streams ---

bool is_end(std::string_view data) { return trim(data).starts_with(kDone); }

void throw_if_error(const WireEvent& event, std::string_view provider) {
  if (event.name == "error" || api::parse_stream_error(event.data)) {
    throw like_stream_error(provider, event.data);
  }
}

// The same head on all chunks, and members that came without a choice go with the next one that
// has some: Azure begins with a chunk of filter results alone, and many clients read choices[0].
template <class Chunk>
class Head {
 public:
  Head(std::string_view id_prefix, const Memo& memo) : prefix_(id_prefix), memo_(memo) {}

  void put_on(Chunk& chunk) {
    if (id_.empty()) {
      complete_head(chunk, prefix_, memo_);
      id_ = chunk.id;
      created_ = chunk.created;
      model_ = chunk.model;
    }
    chunk.id = id_;
    chunk.created = created_;
    chunk.model = model_;
    chunk.extra.insert(chunk.extra.begin(), waiting_.begin(), waiting_.end());
    waiting_.clear();
  }

  void keep(api::StringPairs extra) {
    waiting_.insert(waiting_.end(), std::make_move_iterator(extra.begin()),
                    std::make_move_iterator(extra.end()));
  }

 private:
  std::string_view prefix_;
  const Memo& memo_;
  std::string id_, model_;
  std::int64_t created_ = 0;
  api::StringPairs waiting_;
};

// What was told of usage last, in a chunk of its own at the end: with choices beside it clients
// lose count.
template <class Chunk>
void end_with_usage(std::optional<api::Usage>& usage, Head<Chunk>& head, std::vector<Chunk>& out) {
  if (!usage) return;
  Chunk chunk;
  chunk.usage = std::move(*usage);
  usage.reset();
  head.put_on(chunk);
  out.push_back(std::move(chunk));
}

// Thoughts that come in pieces, each a "reasoning" block with some text and at last the signature.
// To be replayed they must be one block again.
class Thoughts {
 public:
  // Keeps pieces of such blocks; others go on as they are.
  std::string keep(std::string_view blocks) {
    std::string others;
    if (blocks.empty()) return others;
    const json::value array = parse_json(blocks);
    for (const json::value& value : array.as_array()) {
      const json::object* block = value.if_object();
      if (block == nullptr || text_at(*block, "type") != "reasoning" || !keep(*block)) {
        others += (others.empty() ? "[" : ",") + to_json(value);
      }
    }
    if (!others.empty()) others += "]";
    return others;
  }

  // A JSON array of the block, or nothing when no thought has come.
  std::string take() {
    if (!any_) return {};
    any_ = false;
    json::object summary = {{"type", "summary_text"}, {"text", std::exchange(text_, {})}};
    if (!signature_.empty()) summary["signature"] = std::exchange(signature_, {});
    return to_json(json::value(json::array{
        json::object{{"type", "reasoning"}, {"summary", json::array{std::move(summary)}}}}));
  }

 private:
  bool keep(const json::object& block) {
    const json::array& summary = list_at(block, "summary");
    for (const json::value& entry : summary) {
      if (!entry.is_object() || text_at(entry.get_object(), "type") != "summary_text") return false;
    }
    for (const json::value& entry : summary) {
      text_ += text_at(entry.get_object(), "text");
      signature_ += text_at(entry.get_object(), "signature");
      any_ = true;
    }
    return true;
  }

  std::string text_, signature_;
  bool any_ = false;
};

class LikeChatDecoder final : public ChatDecoder {
 public:
  LikeChatDecoder(const Memo& memo, const LikeAnswer& like)
      : memo_(memo), like_(like), head_("chatcmpl-", memo_) {}

  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    std::vector<api::ChatChunk> out;
    if (finished_) return out;  // what follows the end has no meaning
    if (is_end(event.data)) {
      end(out);
      return out;
    }
    throw_if_error(event, like_.provider);
    add(read(like_.provider, event.data, api::parse_chat_chunk), out);
    return out;
  }

  std::vector<api::ChatChunk> finish() override {
    const bool all = !choices_.empty() && std::ranges::all_of(choices_, &Choice::finished);
    if (finished_ || !like_.lenient_end || !all) return ChatDecoder::finish();
    std::vector<api::ChatChunk> out;
    end(out);
    return out;
  }

  bool finished() const override { return finished_; }

 private:
  struct Call {
    int theirs = 0;  // the index that the server gives it
    std::string id;
    bool arguments = false;
  };
  struct Choice {
    int index = 0;
    std::vector<Call> calls;
    Thoughts thoughts;
    bool finished = false;
  };

  void add(api::ChatChunk chunk, std::vector<api::ChatChunk>& out) {
    if (chunk.usage) usage_ = std::move(chunk.usage);
    chunk.usage.reset();
    std::vector<api::ChatChunkChoice> choices;
    for (api::ChatChunkChoice& choice : chunk.choices) {
      if (tidy(choice, out)) choices.push_back(std::move(choice));
    }
    chunk.choices = std::move(choices);
    if (chunk.choices.empty()) {
      head_.keep(std::move(chunk.extra));
      return;
    }
    head_.put_on(chunk);
    out.push_back(std::move(chunk));
  }

  // False when nothing is left to say.
  bool tidy(api::ChatChunkChoice& piece, std::vector<api::ChatChunk>& out) {
    const auto known = std::ranges::find(choices_, piece.index, &Choice::index);
    const bool first = known == choices_.end();
    Choice& choice = first ? choices_.emplace_back(Choice{.index = piece.index}) : *known;
    api::ChatDelta& delta = piece.delta;
    delta.role = first;
    if (!first && delta.content == "") delta.content.reset();
    if (delta.reasoning_content == "") delta.reasoning_content.reset();
    for (api::ToolCallDelta& call : delta.tool_calls) tidy(call, choice);
    std::erase_if(delta.tool_calls, [](const api::ToolCallDelta& call) { return call.index < 0; });
    if (first && !delta.content && delta.tool_calls.empty()) delta.content.emplace();
    delta.thinking_blocks = choice.thoughts.keep(delta.thinking_blocks);
    const bool past_thoughts =
        !delta.content.value_or("").empty() || !delta.tool_calls.empty() || piece.finish_reason;
    if (past_thoughts && delta.thinking_blocks.empty()) {
      delta.thinking_blocks = choice.thoughts.take();
    }
    if (piece.finish_reason) finish(piece, choice, out);
    return first || delta.content || delta.reasoning_content || delta.refusal ||
           !delta.thinking_blocks.empty() || !delta.tool_calls.empty() || !delta.extra.empty() ||
           piece.finish_reason || piece.logprobs || !piece.extra.empty();
  }

  // Some servers leave the index out, or begin again at 0 with each call.
  void tidy(api::ToolCallDelta& delta, Choice& choice) {
    std::vector<Call>& calls = choice.calls;
    auto call = calls.end();
    if (!delta.id.empty()) call = std::ranges::find(calls, delta.id, &Call::id);
    if (call == calls.end() && delta.id.empty() && !calls.empty()) {
      // The latest of that index; without one, the latest.
      const auto same = std::ranges::find(calls.rbegin(), calls.rend(), delta.index, &Call::theirs);
      if (same != calls.rend()) call = same.base() - 1;
      if (call == calls.end() && delta.index < 0) call = calls.end() - 1;
    }
    const bool opens = call == calls.end();
    if (opens) {
      constexpr std::size_t kMaxCalls = 1024;
      if (calls.size() == kMaxCalls) {
        throw bad_response(like_.provider, "more than 1024 calls in one turn.");
      }
      const auto number = static_cast<std::size_t>(choice.index) * 1024 + calls.size();
      if (delta.id.empty()) delta.id = synthesised_call_id(memo_.seed, number);
      calls.push_back({.theirs = delta.index, .id = delta.id});
      call = calls.end() - 1;
    } else {
      delta.id.clear();
      delta.name.clear();
    }
    delta.index = static_cast<int>(call - calls.begin());
    call->arguments |= !delta.arguments.empty();
    const bool says = opens || !delta.arguments.empty() || !delta.extra_content.empty();
    if (!says) delta.index = -1;
  }

  void finish(api::ChatChunkChoice& piece, Choice& choice, std::vector<api::ChatChunk>& out) {
    if (choice.finished) {
      piece.finish_reason.reset();
      return;
    }
    choice.finished = true;
    piece.finish_reason = corrected(*piece.finish_reason, !choice.calls.empty(), memo_, like_);
    complete_calls(choice, piece.delta, out);
  }

  // A call without arguments streams no text for them, but its client parses one.
  void complete_calls(Choice& choice, api::ChatDelta& last, std::vector<api::ChatChunk>& out) {
    api::ChatChunkChoice before{.index = choice.index};
    before.delta.role = std::exchange(last.role, false);
    before.delta.content = std::exchange(last.content, std::nullopt);
    before.delta.tool_calls = std::exchange(last.tool_calls, {});
    for (std::size_t i = 0; i < choice.calls.size(); ++i) {
      if (std::exchange(choice.calls[i].arguments, true)) continue;
      const auto begun = std::ranges::find(before.delta.tool_calls, static_cast<int>(i),
                                           &api::ToolCallDelta::index);
      if (begun != before.delta.tool_calls.end()) {
        begun->arguments = "{}";
      } else {
        before.delta.tool_calls.push_back({.index = static_cast<int>(i), .arguments = "{}"});
      }
    }
    if (before.delta.tool_calls.empty()) {  // nothing to say first
      last.role = before.delta.role;
      last.content = std::move(before.delta.content);
      return;
    }
    api::ChatChunk chunk;
    chunk.choices.push_back(std::move(before));
    head_.put_on(chunk);
    out.push_back(std::move(chunk));
  }

  void end(std::vector<api::ChatChunk>& out) {
    finished_ = true;
    for (Choice& choice : choices_) {
      if (choice.finished) continue;
      api::ChatChunk chunk;
      api::ChatChunkChoice& last = chunk.choices.emplace_back();
      last.index = choice.index;
      last.finish_reason = assumed(!choice.calls.empty(), memo_);
      choice.finished = true;
      complete_calls(choice, last.delta, out);
      head_.put_on(chunk);
      out.push_back(std::move(chunk));
    }
    end_with_usage(usage_, head_, out);
  }

  const Memo memo_;
  const LikeAnswer like_;
  Head<api::ChatChunk> head_;
  std::vector<Choice> choices_;
  std::optional<api::Usage> usage_;
  bool finished_ = false;
};

class LikeCompletionDecoder final : public CompletionDecoder {
 public:
  LikeCompletionDecoder(const Memo& memo, const LikeAnswer& like)
      : memo_(memo), like_(like), head_("cmpl-", memo_) {}

  std::vector<api::CompletionResponse> feed(const WireEvent& event) override {
    std::vector<api::CompletionResponse> out;
    if (finished_) return out;
    if (is_end(event.data)) {
      finished_ = true;
      end_with_usage(usage_, head_, out);
      return out;
    }
    throw_if_error(event, like_.provider);
    api::CompletionResponse chunk =
        read(like_.provider, event.data, api::parse_completion_response);
    if (chunk.usage) usage_ = std::move(chunk.usage);
    chunk.usage.reset();
    for (const api::CompletionChoice& choice : chunk.choices) {
      if (choice.finish_reason) any_finished_ = true;
    }
    if (chunk.choices.empty()) {
      head_.keep(std::move(chunk.extra));
      return out;
    }
    head_.put_on(chunk);
    out.push_back(std::move(chunk));
    return out;
  }

  std::vector<api::CompletionResponse> finish() override {
    if (finished_ || !like_.lenient_end || !any_finished_) return CompletionDecoder::finish();
    finished_ = true;
    std::vector<api::CompletionResponse> out;
    end_with_usage(usage_, head_, out);
    return out;
  }

  bool finished() const override { return finished_; }

 private:
  const Memo memo_;
  const LikeAnswer like_;
  Head<api::CompletionResponse> head_;
  std::optional<api::Usage> usage_;
  bool any_finished_ = false;
  bool finished_ = false;
};

// The status for which a code or type of an event stands, since none comes with it.
int meaning_of(const FailureBody& body, std::string_view payload) {
  // Compatible servers write the status as the code.
  try {
    const json::object root = parse_json_object(payload);
    if (const auto code = number_at(root, "error.code"); code && *code >= 400 && *code < 600) {
      return static_cast<int>(*code);
    }
  } catch (const Error&) {
    return 0;
  }
  const auto says = [&](std::string_view text) {
    return body.code.find(text) != std::string::npos || body.type.find(text) != std::string::npos;
  };
  if (says("rate_limit") || says("REQUEST_LIMIT_EXCEEDED")) return 429;
  if (says("overloaded") || says("TEMPORARILY_UNAVAILABLE")) return 503;
  if (says("timeout")) return 504;
  if (says("authentication") || says("invalid_api_key")) return 401;
  if (says("not_found")) return 404;
  if (says("invalid_request")) return 400;
  return 0;
}

// A type is no code: who gives none gets ours.
Error without_type_as_code(Error error, std::string_view type) {
  if (error.kind == ErrorKind::kProviderRejected && error.code == type) error.code.clear();
  return error;
}

}  // namespace

api::ChatResponse like_chat(const WireResponse& wire, const Memo& memo, const LikeAnswer& like) {
  api::ChatResponse response = read(like.provider, wire.body, api::parse_chat_response);
  if (response.choices.empty()) throw bad_response(like.provider, "it has no choices.");
  complete_head(response, "chatcmpl-", memo);
  for (api::ChatChoice& choice : response.choices) complete(choice, memo, like);
  return response;
}

api::CompletionResponse like_completion(const WireResponse& wire, const Memo& memo,
                                        const LikeAnswer& like) {
  api::CompletionResponse response = read(like.provider, wire.body, api::parse_completion_response);
  if (response.choices.empty()) throw bad_response(like.provider, "it has no choices.");
  complete_head(response, "cmpl-", memo);
  for (api::CompletionChoice& choice : response.choices) {
    if (!choice.finish_reason) choice.finish_reason = FinishReason::kStop;
  }
  return response;
}

api::EmbeddingResponse like_embeddings(const WireResponse& wire, const Memo& memo,
                                       const LikeAnswer& like) {
  api::EmbeddingResponse response = read(like.provider, wire.body, [](std::string_view text) {
    return api::parse_embedding_response(text);
  });
  const auto asked = memo.notes.find(kInputsNote);
  const std::string count = std::to_string(response.data.size());
  if (response.data.empty() || (asked != memo.notes.end() && asked->second != count)) {
    throw bad_response(like.provider, "it has " + count + " embeddings, not one for each input.");
  }
  if (response.model.empty()) response.model = memo.model;
  if (response.id.empty()) response.id = make_id("embd-", memo);
  return response;
}

std::unique_ptr<ChatDecoder> like_chat_stream(const Memo& memo, const LikeAnswer& like) {
  return std::make_unique<LikeChatDecoder>(memo, like);
}

std::unique_ptr<CompletionDecoder> like_completion_stream(const Memo& memo,
                                                          const LikeAnswer& like) {
  return std::make_unique<LikeCompletionDecoder>(memo, like);
}

Error like_error(std::string_view provider, const WireResponse& wire) {
  FailureBody body = read_failure_body(wire.body);
  Error error = to_error({.provider = provider,
                          .code = std::move(body.code),
                          .message = std::move(body.message),
                          .param = std::move(body.param)},
                         wire);
  return without_type_as_code(std::move(error), body.type);
}

Error like_stream_error(std::string_view provider, std::string_view payload) {
  FailureBody body = read_failure_body(payload);
  const int meaning = meaning_of(body, payload);
  Error error = to_error({.provider = provider,
                          .code = std::move(body.code),
                          .message = std::move(body.message),
                          .param = std::move(body.param),
                          .meaning = meaning},
                         {.status = 0, .body = std::string(payload)});
  return without_type_as_code(std::move(error), body.type);
}

}  // namespace tessera::providers
