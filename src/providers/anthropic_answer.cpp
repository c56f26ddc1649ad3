// Answers in Anthropic's dialect.
// https://docs.anthropic.com/en/api/messages#response-content
// https://docs.anthropic.com/en/api/messages-streaming
#include <map>

#include "base/strings.h"
#include "providers/anthropic.h"
#include "providers/chunk_writer.h"
#include "providers/failure.h"
#include "providers/reading.h"
#include "providers/structured.h"

namespace tessera::providers {
namespace {

using api::FinishReason;

FinishReason finish_of(std::string_view stop_reason) {
  if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded") {
    return FinishReason::kLength;
  }
  if (stop_reason == "tool_use") return FinishReason::kToolCalls;
  if (stop_reason == "refusal") return FinishReason::kContentFilter;
  return FinishReason::kStop;  // end_turn, stop_sequence, pause_turn and what is to come
}

// Our own tool is no call for the client: the turn just ended.
FinishReason finish_of(std::string_view stop_reason, bool has_calls) {
  const FinishReason reason = finish_of(stop_reason);
  if (has_calls) return with_calls(reason, true);
  return reason == FinishReason::kToolCalls ? FinishReason::kStop : reason;
}

// Told in pieces: every number that is there replaces the one before, the input's too.
class UsageReader {
 public:
  void merge(const json::object& usage) {
    take(usage, "input_tokens", input_);
    take(usage, "cache_creation_input_tokens", cache_write_);
    take(usage, "cache_read_input_tokens", cache_read_);
    take(usage, "output_tokens", output_);
    take(usage, "output_tokens_details.thinking_tokens", thinking_);
  }

  std::optional<api::Usage> usage() const {
    if (!input_ && !output_) return std::nullopt;
    api::Usage usage =
        usage_of(input_.value_or(0) + cache_write_.value_or(0) + cache_read_.value_or(0),
                 output_.value_or(0));
    usage.cached_tokens = cache_read_;
    usage.cache_write_tokens = cache_write_;
    usage.reasoning_tokens = thinking_;
    const auto pass = [&](const char* name, const std::optional<std::int64_t>& count) {
      if (count) usage.extra.emplace_back(name, std::to_string(*count));
    };
    pass("cache_creation_input_tokens", cache_write_);
    pass("cache_read_input_tokens", cache_read_);
    return usage;
  }

 private:
  static void take(const json::object& usage, std::string_view path,
                   std::optional<std::int64_t>& into) {
    if (const auto count = count_at(usage, path)) into = count;
  }
  std::optional<std::int64_t> input_, cache_write_, cache_read_, output_, thinking_;
};

// Why the provider refused to go on: {"type": "refusal", "category", "explanation"}.
void write_refusal(const json::object& source, api::StringPairs& extra) {
  if (const json::value* details = value_at(source, "stop_details")) {
    extra.emplace_back("content_filter_reason", tessera::to_json(*details));
  }
}

std::string to_text(json::array blocks) { return tessera::to_json(json::value(std::move(blocks))); }

json::object read_event(std::string_view payload, ClaudeHost host) {
  return read_answer(claude_host_name(host), payload);
}

class MessageDecoder final : public ChatDecoder {
 public:
  MessageDecoder(const Memo& memo, ClaudeHost host) : memo_(memo), host_(host), out_(memo) {}

  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    if (finished_) return {};  // what follows the end has no meaning
    const json::object payload = read_event(event.data, host_);
    const std::string type = text_at(payload, "type");
    if (type == "message_start") {
      start(object_at(payload, "message"));
    } else if (type == "content_block_start") {
      open_block(index_of(payload), object_at(payload, "content_block"));
    } else if (type == "content_block_delta") {
      delta(index_of(payload), object_at(payload, "delta"));
    } else if (type == "content_block_stop") {
      close_block(index_of(payload));
    } else if (type == "message_delta") {
      stop_reason_ = or_else(text_at(payload, "delta.stop_reason"), stop_reason_);
      write_refusal(object_at(payload, "delta"), refusal_);
      usage_.merge(object_at(payload, "usage"));
    } else if (type == "message_stop") {
      stop(payload);
    } else if (type == "error") {
      throw claude_stream_error(event.data, host_);
    }
    return out_.take();
  }

  bool finished() const override { return finished_; }

 private:
  struct BlockState {
    enum class Kind { kText, kCall, kJson, kThinking, kRedacted, kOther };
    Kind kind = Kind::kOther;
    int call = 0;            // kCall
    bool has_input = false;  // kCall, kJson: some arguments have come
    bool complete = false;   // kCall, kJson: the whole input came at once
    std::string text;        // kThinking; kJson that must be unwrapped: the input so far
    std::string signature;   // kThinking
    json::object whole;      // kRedacted
  };
  using Kind = BlockState::Kind;

  static std::int64_t index_of(const json::object& payload) {
    return count_at(payload, "index").value_or(0);
  }

  void start(const json::object& message) {
    out_.set_id(text_at(message, "id"));
    out_.set_model(text_at(message, "model"));
    usage_.merge(object_at(message, "usage"));
    out_.start();
  }

  void open_block(std::int64_t index, const json::object& content) {
    BlockState& block = blocks_[index] = {};
    const std::string type = text_at(content, "type");
    if (type == "text") {
      block.kind = Kind::kText;
      text(text_at(content, "text"));
    } else if (type == "tool_use") {
      open_call(block, content);
    } else if (type == "thinking") {
      block.kind = Kind::kThinking;
      block.text = text_at(content, "thinking");
      block.signature = text_at(content, "signature");
      out_.reasoning(block.text);
    } else if (type == "redacted_thinking") {
      block.kind = Kind::kRedacted;
      block.whole = content;
    }
  }

  void open_call(BlockState& block, const json::object& content) {
    const std::string name = text_at(content, "name");
    block.kind = is_json_tool(memo_, name) ? Kind::kJson : Kind::kCall;
    if (block.kind == Kind::kJson) {
      json_came_ = true;
    } else {
      block.call = out_.begin_call(text_at(content, "id"), name);
    }
    const json::object& input = object_at(content, "input");
    if (input.empty()) return;
    add_input(block, tessera::to_json(json::value(input)));
    block.complete = true;
  }

  void add_input(BlockState& block, std::string_view json) {
    if (json.empty() || block.complete) return;
    block.has_input = true;
    if (block.kind == Kind::kCall) {
      out_.arguments(block.call, json);
    } else if (json_tool_streams(memo_)) {
      out_.text(json);
    } else {
      block.text += json;
    }
  }

  void delta(std::int64_t index, const json::object& delta) {
    const std::string type = text_at(delta, "type");
    BlockState& block = blocks_[index];
    if (type == "text_delta") {
      text(text_at(delta, "text"));
    } else if (type == "input_json_delta") {
      if (block.kind == Kind::kCall || block.kind == Kind::kJson) {
        add_input(block, text_at(delta, "partial_json"));
      }
    } else if (type == "thinking_delta") {
      const std::string thought = text_at(delta, "thinking");
      block.text += thought;
      out_.reasoning(thought);
    } else if (type == "signature_delta") {
      block.signature += text_at(delta, "signature");
    }
  }

  void close_block(std::int64_t index) {
    const auto found = blocks_.find(index);
    if (found == blocks_.end()) return;
    const BlockState block = std::move(found->second);
    blocks_.erase(found);
    switch (block.kind) {
      case Kind::kCall:
        if (!block.has_input) out_.arguments(block.call, "{}");
        break;
      case Kind::kJson:
        if (!block.has_input) out_.text("{}");
        if (!json_tool_streams(memo_)) out_.text(unwrapped(block.text));
        break;
      case Kind::kThinking:
        out_.thinking_blocks(to_text({json::object{
            {"type", "thinking"}, {"thinking", block.text}, {"signature", block.signature}}}));
        break;
      case Kind::kRedacted:
        out_.thinking_blocks(to_text({block.whole}));
        break;
      default:
        break;
    }
  }

  std::string unwrapped(const std::string& input) const {
    try {
      return json_tool_answer(parse_json(input), memo_);
    } catch (const Error&) {
      return input;  // the model broke off in the middle: as far as it came
    }
  }

  // What stands beside an answer by our tool is no part of the JSON that the client wants; whether
  // there is one is known at the end only.
  void text(const std::string& piece) {
    if (memo_.json_tool) {
      held_text_ += piece;
    } else {
      out_.text(piece);
    }
  }

  void stop(const json::object& payload) {
    if (!json_came_) out_.text(held_text_);
    out_.finish(finish_of(stop_reason_, out_.calls() > 0));
    if (api::ChatChunkChoice* last = out_.last(); last != nullptr) last->extra = refusal_;
    std::optional<api::Usage> usage = usage_.usage();
    if (!usage) usage = usage_of_invocation(payload);
    if (usage) out_.usage(*usage);
    finished_ = true;
  }

  const Memo memo_;
  ClaudeHost host_;
  ChatChunkWriter out_;
  UsageReader usage_;
  std::map<std::int64_t, BlockState> blocks_;
  std::string stop_reason_, held_text_;
  api::StringPairs refusal_;
  bool json_came_ = false, finished_ = false;
};

FinishReason completion_finish(std::string_view stop_reason) {
  return stop_reason == "max_tokens" ? FinishReason::kLength : FinishReason::kStop;
}

class CompletionEventDecoder final : public CompletionDecoder {
 public:
  CompletionEventDecoder(const Memo& memo, ClaudeHost host) : host_(host), out_(memo) {}

  std::vector<api::CompletionResponse> feed(const WireEvent& event) override {
    if (finished_) return {};
    const json::object payload = read_event(event.data, host_);
    const std::string type = text_at(payload, "type");
    if (type == "error") throw claude_stream_error(event.data, host_);
    // Bedrock leaves the type out at times.
    if (type != "completion" && !payload.contains("completion")) return {};
    out_.set_id(text_at(payload, "id"));
    out_.set_model(text_at(payload, "model"));
    out_.text(text_at(payload, "completion"));
    const std::string stop_reason = text_at(payload, "stop_reason");
    if (!stop_reason.empty()) {
      out_.finish(completion_finish(stop_reason));
      if (const auto usage = usage_of_invocation(payload)) out_.usage(*usage);
      finished_ = true;
    }
    return out_.take();
  }

  bool finished() const override { return finished_; }

 private:
  ClaudeHost host_;
  CompletionChunkWriter out_;
  bool finished_ = false;
};

struct TypeRow {
  std::string_view type;
  int status;
};
// What a type would have as a status (6.10): errors in a stream carry none.
constexpr TypeRow kTypes[] = {
    {"invalid_request_error", 400}, {"authentication_error", 401}, {"billing_error", 402},
    {"permission_error", 403},      {"not_found_error", 404},      {"conflict_error", 409},
    {"request_too_large", 413},     {"rate_limit_error", 429},     {"api_error", 500},
    {"timeout_error", 504},         {"overloaded_error", 529},
};

}  // namespace

api::ChatResponse claude_chat_from_wire(const WireResponse& wire, const Memo& memo,
                                        ClaudeHost host) {
  const json::object answer = read_answer(claude_host_name(host), wire.body);
  if (text_at(answer, "type") == "error") throw claude_stream_error(wire.body, host);
  const json::value* content = value_at(answer, "content");
  if (content == nullptr || !content->is_array()) {
    throw bad_response(claude_host_name(host), "it has no list 'content'");
  }
  api::ChatResponse response{.id = or_else(text_at(answer, "id"), make_id("chatcmpl-", memo)),
                             .created = memo.now_s,
                             .model = or_else(text_at(answer, "model"), memo.model)};
  api::ChatChoice& choice = response.choices.emplace_back();
  std::string text;
  std::optional<std::string> json_answer;
  json::array thinking;
  for (const json::value& value : content->get_array()) {
    const json::object* block = value.if_object();
    if (block == nullptr) continue;
    const std::string type = text_at(*block, "type");
    if (type == "text") {
      text += text_at(*block, "text");
    } else if (type == "thinking") {
      choice.reasoning_content += text_at(*block, "thinking");
      thinking.push_back(value);
    } else if (type == "redacted_thinking") {
      thinking.push_back(value);
    } else if (type == "tool_use") {
      const json::value input = object_at(*block, "input");
      const std::string name = text_at(*block, "name");
      if (is_json_tool(memo, name)) {
        json_answer = json_tool_answer(input, memo);
      } else {
        choice.message.tool_calls.push_back(
            {.id = text_at(*block, "id"), .name = name, .arguments = tessera::to_json(input)});
      }
    }
  }
  if (!thinking.empty()) choice.thinking_blocks = to_text(std::move(thinking));
  const bool has_calls = !choice.message.tool_calls.empty();
  if (json_answer) {
    choice.message.content = std::move(*json_answer);
  } else if (!text.empty() || !has_calls) {
    choice.message.content = std::move(text);
  }
  choice.finish_reason = finish_of(text_at(answer, "stop_reason"), has_calls);
  write_refusal(answer, choice.extra);
  UsageReader usage;
  usage.merge(object_at(answer, "usage"));
  response.usage = usage.usage();
  if (!response.usage) response.usage = usage_of_invocation(wire);
  return response;
}

std::unique_ptr<ChatDecoder> claude_chat_stream(const Memo& memo, ClaudeHost host) {
  return std::make_unique<MessageDecoder>(memo, host);
}

api::CompletionResponse claude_completion_from_wire(const WireResponse& wire, const Memo& memo,
                                                    ClaudeHost host) {
  const json::object answer = read_answer(claude_host_name(host), wire.body);
  if (text_at(answer, "type") == "error") throw claude_stream_error(wire.body, host);
  const json::value* text = value_at(answer, "completion");
  if (text == nullptr || !text->is_string()) {
    throw bad_response(claude_host_name(host), "it has no text 'completion'");
  }
  api::CompletionResponse response{.id = or_else(text_at(answer, "id"), make_id("cmpl-", memo)),
                                   .created = memo.now_s,
                                   .model = or_else(text_at(answer, "model"), memo.model)};
  response.choices.push_back({.text = std::string(text->get_string()),
                              .finish_reason = completion_finish(text_at(answer, "stop_reason"))});
  response.usage = usage_of_invocation(wire);
  return response;
}

std::unique_ptr<CompletionDecoder> claude_completion_stream(const Memo& memo, ClaudeHost host) {
  return std::make_unique<CompletionEventDecoder>(memo, host);
}

Error claude_stream_error(std::string_view payload, ClaudeHost host) {
  const FailureBody body = read_failure_body(payload);
  Failure failure{.provider = claude_host_name(host),
                  .code = body.type,
                  .message = body.message,
                  .meaning = 500};
  for (const TypeRow& row : kTypes) {
    if (row.type == body.type) failure.meaning = row.status;
  }
  return to_error(failure, {.status = 0, .body = std::string(payload)});
}

}  // namespace tessera::providers
