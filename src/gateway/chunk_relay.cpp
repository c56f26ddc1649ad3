#include "gateway/chunk_relay.h"

#include <algorithm>

#include "base/strings.h"

namespace tessera::gateway {
namespace {

// data-plane 2.10
std::int64_t estimated_tokens(std::int64_t characters) { return (characters + 1) / 4; }

api::Usage estimate(UsageMeter& meter, std::int64_t output_characters, bool generates) {
  catalog::UsageRecord& record = meter.record();
  record.estimated = true;
  record.input_tokens = estimated_tokens(record.input_characters);
  record.output_tokens = generates ? estimated_tokens(output_characters) : 0;
  api::Usage usage;
  usage.prompt_tokens = record.input_tokens;
  usage.completion_tokens.reset();
  if (generates) usage.completion_tokens = record.output_tokens;
  usage.total_tokens = record.input_tokens + record.output_tokens;
  return usage;
}

std::int64_t count(std::string_view text) { return static_cast<std::int64_t>(utf8_length(text)); }

std::int64_t characters(const api::ChatChunkChoice& choice) {
  const api::ChatDelta& delta = choice.delta;
  std::int64_t sum = delta.content ? count(*delta.content) : 0;
  if (delta.reasoning_content) sum += count(*delta.reasoning_content);
  for (const api::ToolCallDelta& call : delta.tool_calls) {
    sum += count(call.name) + count(call.arguments);
  }
  return sum;
}
std::int64_t characters(const api::CompletionChoice& choice) { return count(choice.text); }

std::string_view text_of(const api::ChatChunkChoice& choice) {
  return choice.delta.content ? std::string_view(*choice.delta.content) : std::string_view();
}
std::string_view text_of(const api::CompletionChoice& choice) { return choice.text; }

std::string chunk_json(const api::ChatChunk& chunk, bool legacy) {
  return legacy ? to_legacy_json(chunk) : to_json(chunk);
}
std::string chunk_json(const api::CompletionResponse& chunk, bool) { return to_json(chunk); }

template <class Chunk>
class ChunkRelay final : public http::BodyStream {
 public:
  ChunkRelay(std::unique_ptr<ChunkSource<Chunk>> source, std::shared_ptr<const void> keep,
             std::unique_ptr<UsageMeter> meter, ChunkRelayOptions options)
      : keep_(std::move(keep)),
        meter_(std::move(meter)),
        options_(std::move(options)),
        source_(std::move(source)) {}

  http::asio::awaitable<std::optional<std::string>> next() override {
    if (ended_) {
      co_await source_->drain();
      co_return std::nullopt;
    }
    std::string out;
    std::optional<Error> failure;
    try {
      while (out.empty()) {
        std::vector<Chunk> chunks = co_await source_->next();
        if (chunks.empty()) {
          end(out);
          break;
        }
        check_time();
        for (Chunk& chunk : chunks) take(chunk, out);
      }
    } catch (const Error& error) {
      failure = error;
    }
    if (!failure) {
      begun_ = true;
      co_return out;
    }
    meter_->failed(*failure);
    if (!options_.writer || !begun_) throw *failure;
    ended_ = true;
    co_return options_.writer->error(*failure);
  }

 private:
  void check_time() const {
    if (meter_->elapsed_ms() < options_.time_limit.count()) return;
    throw Error(ErrorKind::kDeadlineExceeded,
                "The answer was not complete within " +
                    std::to_string(options_.time_limit.count() / 1000) + " seconds.");
  }

  void observe(const Chunk& chunk) {
    if (chunk.usage) {
      usage_ = chunk.usage;
      meter_->usage(*chunk.usage);
    }
    for (const auto& choice : chunk.choices) {
      const std::int64_t more = characters(choice);
      if (more > 0 || choice.finish_reason) meter_->first_token();
      output_characters_ += more;
      meter_->output(text_of(choice));
      if (choice.finish_reason) meter_->finish_reason(*choice.finish_reason);
    }
  }

  void take(Chunk& chunk, std::string& out) {
    if (chunk.model.empty()) chunk.model = options_.model;
    if (frame_.id.empty()) {
      frame_.id = chunk.id;
      frame_.created = chunk.created;
      frame_.model = chunk.model;
      frame_.system_fingerprint = chunk.system_fingerprint;
    }
    observe(chunk);
    if (options_.writer) {
      write_other(chunk, out);
      return;
    }
    if (chunk.choices.empty() && chunk.usage) return;  // told at the end
    switch (options_.usage) {
      case StreamUsage::kNowhere:
        chunk.usage.reset();
        break;
      case StreamUsage::kLast:
        chunk.usage.reset();
        chunk.null_usage = true;
        break;
      case StreamUsage::kRunning:
        chunk.null_usage = true;
        break;
      case StreamUsage::kNative:
        // The last chunk that has choices carries the final figures, which come after it.
        chunk.null_usage = true;
        release(out);
        if (std::ranges::any_of(chunk.choices, [](const auto& choice) {
              return choice.finish_reason.has_value();
            })) {
          held_ = std::move(chunk);
          return;
        }
        break;
    }
    write(chunk, out);
  }

  void write_other(const Chunk& chunk, std::string& out) {
    if constexpr (std::is_same_v<Chunk, api::ChatChunk>) out += options_.writer->write(chunk);
  }

  void write(Chunk& chunk, std::string& out) {
    if constexpr (std::is_same_v<Chunk, api::ChatChunk>) {
      if (options_.reasoning_in_content) api::put_reasoning_into_content(chunk);
    }
    out.append("data: ").append(chunk_json(chunk, options_.legacy_functions)).append("\n\n");
  }

  void release(std::string& out) {
    if (!held_) return;
    write(*held_, out);
    held_.reset();
  }

  void end(std::string& out) {
    ended_ = true;
    const bool told = usage_.has_value();
    if (!told) usage_ = estimate(*meter_, output_characters_, true);
    if (options_.writer) {
      if (!told) {
        frame_.usage = usage_;
        write_other(frame_, out);
      }
      out += options_.writer->finish();
    } else {
      if (held_) {
        held_->usage = usage_;
        release(out);
      }
      if (options_.usage == StreamUsage::kLast || options_.usage == StreamUsage::kRunning) {
        frame_.usage = usage_;
        write(frame_, out);
      }
      out += "data: [DONE]\n\n";
    }
    meter_->succeeded();
  }

  std::shared_ptr<const void> keep_;
  std::unique_ptr<UsageMeter> meter_;
  ChunkRelayOptions options_;
  Chunk frame_;  // what chunks of our own making have in common with the stream's
  std::optional<Chunk> held_;
  std::optional<api::Usage> usage_;
  std::int64_t output_characters_ = 0;
  bool begun_ = false, ended_ = false;
  std::unique_ptr<ChunkSource<Chunk>> source_;  // last: goes first, with its connection
};

void settle(api::ChatResponse& response, const std::string& model, UsageMeter& meter) {
  if (response.model.empty()) response.model = model;
  std::int64_t sum = 0;
  for (const api::ChatChoice& choice : response.choices) {
    if (choice.message.content) {
      sum += count(*choice.message.content);
      meter.output(*choice.message.content);
    }
    sum += count(choice.reasoning_content);
    for (const api::ToolCall& call : choice.message.tool_calls) {
      sum += count(call.name) + count(call.arguments);
    }
    if (choice.finish_reason) meter.finish_reason(*choice.finish_reason);
  }
  if (response.usage) {
    meter.usage(*response.usage);
  } else {
    response.usage = estimate(meter, sum, true);
  }
}

void settle(api::CompletionResponse& response, const std::string& model, UsageMeter& meter) {
  if (response.model.empty()) response.model = model;
  std::int64_t sum = 0;
  for (const api::CompletionChoice& choice : response.choices) {
    sum += count(choice.text);
    meter.output(choice.text);
    if (choice.finish_reason) meter.finish_reason(*choice.finish_reason);
  }
  if (response.usage) {
    meter.usage(*response.usage);
  } else {
    response.usage = estimate(meter, sum, true);
  }
}

void settle(api::EmbeddingResponse& response, const std::string& model, UsageMeter& meter) {
  if (response.model.empty()) response.model = model;
  if (response.usage.prompt_tokens > 0 || response.usage.total_tokens > 0) {
    meter.usage(response.usage);
  } else {
    response.usage = estimate(meter, 0, false);
  }
}

}  // namespace

std::unique_ptr<http::BodyStream> relay_chunks(TaskStream stream, std::shared_ptr<const void> keep,
                                               std::unique_ptr<UsageMeter> meter,
                                               ChunkRelayOptions options) {
  if (auto* text = std::get_if<std::unique_ptr<ChunkSource<api::CompletionResponse>>>(&stream)) {
    return std::make_unique<ChunkRelay<api::CompletionResponse>>(
        std::move(*text), std::move(keep), std::move(meter), std::move(options));
  }
  auto& chat = std::get<std::unique_ptr<ChunkSource<api::ChatChunk>>>(stream);
  return std::make_unique<ChunkRelay<api::ChatChunk>>(std::move(chat), std::move(keep),
                                                      std::move(meter), std::move(options));
}

void settle(TaskResponse& response, const std::string& model, UsageMeter& meter) {
  std::visit([&](auto& whole) { settle(whole, model, meter); }, response);
}

std::string whole_json(TaskResponse response, const TaskRequest& request,
                       std::string_view served_model_name, bool reasoning_in_content) {
  std::visit([&](auto& whole) { whole.served_model_name = served_model_name; }, response);
  if (const auto* embeddings = std::get_if<api::EmbeddingResponse>(&response)) {
    const auto& asked = std::get<api::EmbeddingRequest>(request);
    return to_json(*embeddings, asked.encoding_format, asked.embed_dtype, asked.big_endian);
  }
  if (const auto* text = std::get_if<api::CompletionResponse>(&response)) return to_json(*text);
  auto& chat = std::get<api::ChatResponse>(response);
  if (reasoning_in_content) api::put_reasoning_into_content(chat);
  const auto* asked = std::get_if<api::ChatRequest>(&request);
  return asked != nullptr && asked->legacy_functions ? to_legacy_json(chat) : to_json(chat);
}

bool wants_reasoning_in_content(const catalog::ServedEntity& entity) {
  return entity.external_model && entity.external_model->option("reasoning_format") == "databricks";
}

}  // namespace tessera::gateway
