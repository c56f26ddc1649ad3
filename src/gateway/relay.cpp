#include "gateway/relay.h"

#include "api/json_scan.h"
#include "base/json.h"
#include "gateway/upstream.h"
#include "http/sse.h"

namespace tessera::gateway {
namespace {

const std::string& text_of(const api::CompletionChoice& choice) { return choice.text; }
std::string_view text_of(const api::ChatChunkChoice& choice) {
  return choice.delta.content ? std::string_view(*choice.delta.content) : std::string_view();
}

template <class Chunk>
class StreamRelay final : public http::BodyStream {
 public:
  StreamRelay(std::unique_ptr<providers::StreamDecoder<Chunk>> decoder, bool writes_our_form,
              std::unique_ptr<http::BodyStream> upstream, const catalog::ServedEntity& entity,
              std::shared_ptr<const void> keep, std::unique_ptr<UsageMeter> meter,
              RelayOptions options)
      : keep_(std::move(keep)),
        entity_(entity),
        meter_(std::move(meter)),
        options_(std::move(options)),
        writes_our_form_(writes_our_form),
        decoder_(std::move(decoder)),
        upstream_(std::move(upstream)) {}

  http::asio::awaitable<std::optional<std::string>> next() override {
    if (std::exchange(options_.late, false)) co_return options_.keep_alive;
    try {
      if (failure_) throw *failure_;
      while (auto piece = co_await upstream_->next()) {
        if (decoder_->finished()) continue;  // to the end: so the connection can serve again
        check_time();
        std::string out = translate(*piece);
        if (!out.empty()) co_return out;
        if (failure_) throw *failure_;
      }
      if (!decoder_->finished()) {
        Error error(ErrorKind::kUpstreamBadGateway, "The upstream's stream ended early.");
        error.code = "upstream_stream_truncated";
        throw broken_off(error, entity_);
      }
    } catch (const Error& error) {
      // After [DONE] the client has all it asked for; how the connection ends is our affair.
      if (decoder_->finished()) co_return std::nullopt;
      Error told = failure_ ? *failure_ : broken_off(error, entity_);
      meter_->failed(told);
      throw told;
    }
    co_return std::nullopt;
  }

 private:
  void check_time() {
    if (meter_->elapsed_ms() < options_.time_limit.count()) return;
    failure_.emplace(ErrorKind::kDeadlineExceeded,
                     "The answer was not complete within " +
                         std::to_string(options_.time_limit.count() / 1000) + " seconds.");
    throw *failure_;
  }

  // What an event reports as an error comes after what the events before it said.
  std::string translate(std::string_view piece) {
    std::string out;
    for (const http::SseEvent& event : parser_.feed(piece)) {
      try {
        for (Chunk& chunk : decoder_->feed({event.event, event.data})) {
          write(chunk, event.data, out);
        }
      } catch (const Error& error) {
        failure_ = error;
        break;
      }
      if (decoder_->finished()) {
        out += "data: [DONE]\n\n";
        meter_->succeeded();
        break;
      }
    }
    return out;
  }

  void observe(const Chunk& chunk) {
    if (chunk.usage) meter_->usage(*chunk.usage);
    for (const auto& choice : chunk.choices) {
      const std::string_view text = text_of(choice);
      if (!text.empty() || choice.finish_reason) meter_->first_token();
      meter_->output(text);
      if (choice.finish_reason) meter_->finish_reason(*choice.finish_reason);
    }
  }

  void write(Chunk& chunk, std::string_view raw, std::string& out) {
    observe(chunk);
    const bool usage_only = chunk.choices.empty();
    bool unchanged = writes_our_form_ && chunk.model == options_.shown_model;
    switch (options_.usage) {
      case StreamUsage::kNowhere:
        if (usage_only) return;
        chunk.usage.reset();
        unchanged = false;
        break;
      case StreamUsage::kLast:
        if (!usage_only) {
          chunk.usage.reset();
          chunk.null_usage = true;
          unchanged = false;
        }
        break;
      case StreamUsage::kNative:
        if (usage_only) return;
        break;
      case StreamUsage::kRunning:
        break;
    }
    out += "data: ";
    if (unchanged) {
      out += raw;
    } else {
      chunk.model = options_.shown_model;
      out += to_json(chunk);
    }
    out += "\n\n";
  }

  std::shared_ptr<const void> keep_;
  const catalog::ServedEntity& entity_;
  std::unique_ptr<UsageMeter> meter_;
  RelayOptions options_;
  bool writes_our_form_;
  std::optional<Error> failure_;  // the error that ends the stream, in words for the client
  http::SseParser parser_;
  std::unique_ptr<providers::StreamDecoder<Chunk>> decoder_;
  std::unique_ptr<http::BodyStream> upstream_;  // last: goes first, with its connection
};

// "finish_reason":"stop" of the first choice. With both quotes bare it cannot be inside a text.
std::optional<std::string_view> first_finish_reason(std::string_view body) {
  // Without the quote at its start, which is too frequent a byte to look for.
  constexpr std::string_view kKey = "finish_reason\":\"";
  const std::size_t at = body.find(kKey);
  if (at == std::string_view::npos || at == 0 || body[at - 1] != '"') return std::nullopt;
  const std::size_t begin = at + kKey.size();
  const std::size_t end = body.find('"', begin);
  if (end == std::string_view::npos) return std::nullopt;
  return body.substr(begin, end - begin);
}

}  // namespace

StreamUsage stream_usage(const api::GenerationFields& fields, bool native) {
  if (!fields.include_usage) return native ? StreamUsage::kNative : StreamUsage::kNowhere;
  return fields.continuous_usage_stats ? StreamUsage::kRunning : StreamUsage::kLast;
}

std::unique_ptr<http::BodyStream> relay_stream(
    const TaskRequest& request, const providers::Provider& provider,
    std::unique_ptr<http::BodyStream> upstream, const catalog::ServedEntity& entity,
    std::shared_ptr<const void> keep, std::unique_ptr<UsageMeter> meter, RelayOptions options) {
  const bool ours = provider.writes_our_form;
  if (std::holds_alternative<api::CompletionRequest>(request)) {
    return std::make_unique<StreamRelay<api::CompletionResponse>>(
        provider.completions.stream({}), ours, std::move(upstream), entity, std::move(keep),
        std::move(meter), std::move(options));
  }
  return std::make_unique<StreamRelay<api::ChatChunk>>(provider.chat.stream({}), ours,
                                                       std::move(upstream), entity, std::move(keep),
                                                       std::move(meter), std::move(options));
}

std::string relay_plain(std::string body, std::string_view served_model_name, UsageMeter& meter) {
  while (!body.empty() && (body.back() == '\n' || body.back() == ' ')) body.pop_back();
  const std::optional<std::string_view> usage_text = api::top_level_member(body, "usage");
  const std::optional<api::Usage> usage =
      usage_text ? api::parse_usage(*usage_text) : std::optional<api::Usage>();
  if (!usage || !body.ends_with('}')) {
    throw Error(ErrorKind::kUpstreamBadGateway, "The upstream's answer has no usage.");
  }
  meter.usage(*usage);
  if (const auto reason = first_finish_reason(body)) meter.record().finish_reason = *reason;
  if (!served_model_name.empty()) {
    body.pop_back();
    body += ",\"served_model_name\":";
    append_json_string(body, served_model_name);
    body += '}';
  }
  return body;
}

}  // namespace tessera::gateway
