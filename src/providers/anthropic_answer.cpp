// Answers in Anthropic's dialect.
// https://docs.anthropic.com/en/api/messages#response-content
// https://docs.anthropic.com/en/api/messages-streaming
#include "providers/anthropic.h"
#include "providers/blocks.h"
#include "providers/chunk_writer.h"
#include "providers/failure.h"
#include "providers/reading.h"

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

json::object read_event(std::string_view payload, ClaudeHost host) {
  return read_answer(claude_host_name(host), payload);
}

class MessageDecoder final : public ChatDecoder {
 public:
  MessageDecoder(const Memo& memo, ClaudeHost host) : host_(host), blocks_(memo) {}

  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    if (finished_) return {};  // what follows the end has no meaning
    const json::object payload = read_event(event.data, host_);
    const std::int64_t index = count_at(payload, "index").value_or(0);
    const std::string type = text_at(payload, "type");
    if (type == "message_start") {
      start(object_at(payload, "message"));
    } else if (type == "content_block_start") {
      open_block(index, object_at(payload, "content_block"));
    } else if (type == "content_block_delta") {
      delta(index, object_at(payload, "delta"));
    } else if (type == "content_block_stop") {
      blocks_.close(index);
    } else if (type == "message_delta") {
      stop_reason_ = or_else(text_at(payload, "delta.stop_reason"), stop_reason_);
      write_refusal(object_at(payload, "delta"), refusal_);
      usage_.merge(object_at(payload, "usage"));
    } else if (type == "message_stop") {
      stop(payload);
    } else if (type == "error") {
      throw claude_stream_error(event.data, host_);
    }
    return blocks_.out().take();
  }

  bool finished() const override { return finished_; }

 private:
  void start(const json::object& message) {
    blocks_.out().set_id(text_at(message, "id"));
    blocks_.out().set_model(text_at(message, "model"));
    usage_.merge(object_at(message, "usage"));
    blocks_.out().start();
  }

  void open_block(std::int64_t index, const json::object& content) {
    const std::string type = text_at(content, "type");
    if (type == "text") {
      blocks_.text(text_at(content, "text"));
    } else if (type == "tool_use") {
      blocks_.open_call(index, text_at(content, "id"), text_at(content, "name"));
      blocks_.whole_input(index, object_at(content, "input"));
    } else if (type == "thinking") {
      blocks_.thought(index, text_at(content, "thinking"));
      blocks_.signature(index, text_at(content, "signature"));
    } else if (type == "redacted_thinking") {
      blocks_.hidden_thought(index, content);
    }
  }

  void delta(std::int64_t index, const json::object& delta) {
    const std::string type = text_at(delta, "type");
    if (type == "text_delta") {
      blocks_.text(text_at(delta, "text"));
    } else if (type == "input_json_delta") {
      blocks_.input(index, text_at(delta, "partial_json"));
    } else if (type == "thinking_delta") {
      blocks_.thought(index, text_at(delta, "thinking"));
    } else if (type == "signature_delta") {
      blocks_.signature(index, text_at(delta, "signature"));
    }
  }

  void stop(const json::object& payload) {
    blocks_.finish(finish_of(stop_reason_), refusal_);
    std::optional<api::Usage> usage = usage_.usage();
    if (!usage) usage = usage_of_invocation(payload);
    if (usage) blocks_.out().usage(*usage);
    finished_ = true;
  }

  ClaudeHost host_;
  BlockStream blocks_;
  UsageReader usage_;
  std::string stop_reason_;
  api::StringPairs refusal_;
  bool finished_ = false;
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
  BlockAnswer blocks(memo);
  for (const json::value& value : content->get_array()) {
    const json::object* block = value.if_object();
    if (block == nullptr) continue;
    const std::string type = text_at(*block, "type");
    if (type == "text") {
      blocks.text(text_at(*block, "text"));
    } else if (type == "thinking") {
      blocks.thought(text_at(*block, "thinking"), *block);
    } else if (type == "redacted_thinking") {
      blocks.thought({}, *block);
    } else if (type == "tool_use") {
      blocks.call(text_at(*block, "id"), text_at(*block, "name"), object_at(*block, "input"));
    }
  }
  response.choices.push_back(std::move(blocks).choice(finish_of(text_at(answer, "stop_reason"))));
  write_refusal(answer, response.choices[0].extra);
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
