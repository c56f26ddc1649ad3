#include "gateway/verbatim.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "api/json_scan.h"
#include "base/json.h"
#include "base/strings.h"
#include "gateway/provider_call.h"
#include "gateway/retry.h"
#include "http/json_stream.h"
#include "http/sse.h"
#include "providers/failure.h"

namespace tessera::gateway {
namespace {

constexpr std::size_t kMaxErrorBody = 1u << 20;
constexpr const char* kAnthropicVersion = "2023-06-01";

bool is_azure(const catalog::ExternalModel& model) {
  return to_lower(model.option("openai_api_type")).starts_with("azure");
}

std::string path_of(const catalog::ExternalModel& model, Surface surface) {
  if (surface == Surface::kMessages) return "/v1/messages";
  if (surface == Surface::kCountTokens) return "/v1/messages/count_tokens";
  // Azure has it on the surface that needs no version; the base may name that one already.
  const bool at_root =
      is_azure(model) && !dialect_of(model).base_url(model).ends_with("/openai/v1");
  return at_root ? "/openai/v1/responses" : "/responses";
}

// Azure's models go by the names of their deployments.
std::string model_name(const catalog::ExternalModel& model) {
  return is_azure(model) ? std::string(model.option("openai_deployment_name")) : model.name;
}

// The body with another model's name; all else as it came, byte for byte.
std::string renamed(const std::string& body, const std::string& model) {
  const auto value = api::top_level_member(body, "model");
  std::string name;
  append_json_string(name, model);
  std::string out = body;
  if (!value) {
    const std::size_t brace = out.find('{');
    const bool empty = out.find_first_not_of(" \t\r\n", brace + 1) == out.find('}', brace + 1);
    out.insert(brace + 1, "\"model\":" + name + (empty ? "" : ","));
    return out;
  }
  return out.replace(static_cast<std::size_t>(value->data() - body.data()), value->size(), name);
}

// --- Usage, as either API tells it ---

std::int64_t number(const json::object& object, std::string_view name) {
  const json::value* value = find_field(object, name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

const json::object* member(const json::object& object, std::string_view name) {
  const json::value* value = find_field(object, name);
  return value == nullptr ? nullptr : value->if_object();
}

std::string text(const json::object& object, std::string_view name) {
  const json::value* value = find_field(object, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// Members that are absent keep what an earlier event said.
void read_anthropic_usage(const json::object& theirs, api::Usage& usage) {
  if (theirs.contains("input_tokens")) {
    usage.cached_tokens = number(theirs, "cache_read_input_tokens");
    usage.cache_write_tokens = number(theirs, "cache_creation_input_tokens");
    usage.prompt_tokens =
        number(theirs, "input_tokens") + *usage.cached_tokens + *usage.cache_write_tokens;
  }
  if (theirs.contains("output_tokens")) usage.completion_tokens = number(theirs, "output_tokens");
}

void read_openai_usage(const json::object& theirs, api::Usage& usage) {
  usage.prompt_tokens = number(theirs, "input_tokens");
  usage.completion_tokens = number(theirs, "output_tokens");
  if (const json::object* details = member(theirs, "input_tokens_details")) {
    usage.cached_tokens = number(*details, "cached_tokens");
  }
}

class Watch {
 public:
  Watch(Surface surface, UsageMeter& meter) : surface_(surface), meter_(meter) {}

  // One event of the stream.
  void event(const http::SseEvent& event) {
    if (surface_ == Surface::kResponses) {
      responses_event(event);
    } else {
      messages_event(event);
    }
  }
  // The provider's own end has come.
  bool finished() const { return finished_; }
  const std::optional<Error>& failure() const { return failure_; }

  void whole(std::string_view body) {
    try {
      const json::object tree = parse_json_object(body);
      if (surface_ == Surface::kCountTokens) {
        return;
      }
      if (const json::object* usage = member(tree, "usage")) take_usage(*usage);
      finish(text(tree, surface_ == Surface::kMessages ? "stop_reason" : "status"));
    } catch (const Error&) {
      // Not ours to complain about: the client gets it as it is.
    }
  }

 private:
  void take_usage(const json::object& theirs) {
    if (surface_ == Surface::kMessages) {
      read_anthropic_usage(theirs, usage_);
    } else {
      read_openai_usage(theirs, usage_);
    }
    usage_.total_tokens = usage_.prompt_tokens + usage_.completion_tokens.value_or(0);
    meter_.usage(usage_);
  }

  void finish(const std::string& reason) {
    if (!reason.empty()) meter_.record().finish_reason = reason;
  }

  void fail(const json::object& tree) {
    const json::object* inner = member(tree, "error");
    const std::string message = text(inner == nullptr ? tree : *inner, "message");
    failure_.emplace(ErrorKind::kProviderError, message.empty() ? "The stream failed." : message);
  }

  void messages_event(const http::SseEvent& event) {
    const bool deltas = event.event == "content_block_delta";
    if (deltas) {
      meter_.first_token();
      return;  // most events: not looked into
    }
    if (event.event == "message_stop") finished_ = true;
    if (event.event != "message_start" && event.event != "message_delta" &&
        event.event != "error") {
      return;
    }
    const json::object tree = parse_json_object(event.data);
    if (event.event == "error") return fail(tree);
    const json::object* holder = event.event == "message_start" ? member(tree, "message") : &tree;
    if (holder == nullptr) return;
    if (const json::object* usage = member(*holder, "usage")) take_usage(*usage);
    if (const json::object* delta = member(*holder, "delta")) finish(text(*delta, "stop_reason"));
  }

  void responses_event(const http::SseEvent& event) {
    if (event.event.ends_with(".delta")) {
      meter_.first_token();
      return;
    }
    const bool end = event.event == "response.completed" || event.event == "response.incomplete" ||
                     event.event == "response.failed";
    if (!end && event.event != "error") return;
    const json::object tree = parse_json_object(event.data);
    if (event.event == "error") return fail(tree);
    finished_ = true;
    const json::object* response = member(tree, "response");
    if (response == nullptr) return;
    if (const json::object* usage = member(*response, "usage")) take_usage(*usage);
    finish(text(*response, "status"));
    if (event.event == "response.failed") fail(*response);
  }

  Surface surface_;
  UsageMeter& meter_;
  api::Usage usage_;
  bool finished_ = false;
  std::optional<Error> failure_;
};

class VerbatimRelay final : public http::BodyStream {
 public:
  VerbatimRelay(Surface surface, std::unique_ptr<http::BodyStream> upstream,
                const catalog::ServedEntity& entity, std::shared_ptr<const void> keep,
                std::unique_ptr<UsageMeter> meter, std::chrono::milliseconds time_limit)
      : keep_(std::move(keep)),
        entity_(entity),
        meter_(std::move(meter)),
        watch_(surface, *meter_),
        parser_(http::kMaxStreamEventBytes),
        time_limit_(time_limit),
        upstream_(std::move(upstream)) {}

  http::asio::awaitable<std::optional<std::string>> next() override {
    std::optional<std::string> piece;
    std::optional<Error> failure;
    try {
      piece = co_await upstream_->next();
      if (piece) {
        watch(parser_.feed(*piece));
        if (meter_->elapsed_ms() > time_limit_.count()) {
          throw Error(ErrorKind::kDeadlineExceeded, "The answer was not complete in time.");
        }
      } else {
        watch(parser_.finish());
      }
    } catch (const Error& error) {
      failure = error;
    }
    if (watch_.finished() && !watch_.failure()) {
      meter_->succeeded();
      if (failure) co_return std::nullopt;  // how the connection ends is our affair
      co_return piece;
    }
    if (watch_.failure()) {
      meter_->failed(*watch_.failure());  // the client reads it in the provider's own words
      if (failure) co_return std::nullopt;
      co_return piece;
    }
    if (piece && !failure) co_return piece;
    Error told = failure ? *failure : Error(ErrorKind::kProviderUnreachable, "");
    if (told.kind != ErrorKind::kDeadlineExceeded) {
      told = Error(ErrorKind::kProviderUnreachable,
                   "The provider '" + entity_.external_model->provider + "' broke its answer off.");
      told.code = "upstream_stream_truncated";
    }
    meter_->failed(told);
    throw told;
  }

 private:
  void watch(const std::vector<http::SseEvent>& events) {
    for (const http::SseEvent& event : events) {
      try {
        watch_.event(event);
      } catch (const Error&) {
        // An event that is no JSON: the client's affair.
      }
    }
  }

  std::shared_ptr<const void> keep_;
  const catalog::ServedEntity& entity_;
  std::unique_ptr<UsageMeter> meter_;
  Watch watch_;
  http::SseParser parser_;
  std::chrono::milliseconds time_limit_;
  std::unique_ptr<http::BodyStream> upstream_;  // last: goes first, with its connection
};

}  // namespace

bool speaks(const catalog::ServedEntity& entity, Surface surface) {
  if (entity.kind != catalog::EntityKind::kExternalModel || !entity.external_model) return false;
  const catalog::ExternalModel& model = *entity.external_model;
  if (model.task != catalog::Task::kChat) return false;
  switch (surface) {
    case Surface::kMessages:
    case Surface::kCountTokens:
      return model.provider == "anthropic";
    case Surface::kResponses:
      return model.provider == "openai";
    case Surface::kOurs:
      break;
  }
  return false;
}

http::Headers forwarded_headers(const http::Headers& headers) {
  http::Headers out;
  for (const char* name :
       {"anthropic-version", "anthropic-beta", "openai-beta", "idempotency-key"}) {
    if (const auto value = headers.get(name)) out.set(name, std::string(*value));
  }
  return out;
}

http::asio::awaitable<VerbatimAnswer> call_verbatim(http::Client& client, Credentials& credentials,
                                                    VerbatimCall call) {
  namespace asio = http::asio;
  const catalog::ExternalModel& model = *call.entity.external_model;
  const Surface surface = call.request.surface;
  providers::HeaderList headers;
  for (const auto& [name, value] : call.request.headers) headers.emplace_back(name, value);
  if (surface != Surface::kResponses && !call.request.headers.get("anthropic-version")) {
    headers.emplace_back("anthropic-version", kAnthropicVersion);
  }
  const std::string body = renamed(call.request.body, model_name(model));
  const int retries =
      call.retry ? static_cast<int>(parse_int(model.option("max_retries")).value_or(2)) : 0;
  for (int tried = 1;; ++tried) {
    VerbatimAnswer answer;
    std::optional<Error> failure;
    try {
      RawCall raw{.model = model,
                  .label = call.entity.name,
                  .path = path_of(model, surface),
                  .headers = headers,
                  .body = body,
                  .stream = call.stream,
                  .time_left = call.time_left};
      http::ClientResponse response = co_await call_raw(client, credentials, std::move(raw));
      answer.status = response.status;
      for (const char* name : {"content-type", "retry-after", "retry-after-ms", "x-should-retry"}) {
        if (const auto value = response.headers.get(name))
          answer.headers.set(name, std::string(*value));
      }
      if (std::string id = provider_request_id(response.headers); !id.empty()) {
        answer.headers.set("x-provider-request-id", std::move(id));
      }
      const bool good = response.status / 100 == 2;
      if (good && call.stream) {
        answer.stream = std::move(response.body);
        co_return answer;
      }
      const std::size_t limit = good ? call.max_response_bytes : kMaxErrorBody;
      answer.body = co_await http::read_all(*response.body, limit);
      if (good) co_return answer;
      providers::WireResponse wire;
      wire.status = response.status;
      for (const auto& [name, value] : response.headers) {
        wire.headers.emplace_back(to_lower(name), value);
      }
      wire.body = answer.body;
      answer.error = explained(dialect_of(model).from_error(wire), model);
    } catch (const Error& error) {
      failure = error.provider ? error : explained(transport_error(error, model.provider), model);
    }
    const Error& wrong = failure ? *failure : *answer.error;
    const auto delay = tried <= retries ? retry_delay(wrong, tried, 0.5) : std::nullopt;
    if (!delay || *delay >= call.time_left) {
      if (failure) throw *failure;
      // What the client's own key would have caused looks the same; ours is the server's affair.
      if (wrong.kind == ErrorKind::kProviderAuthentication) throw wrong;
      co_return answer;
    }
    call.time_left -= *delay;
    asio::steady_timer timer(co_await asio::this_coro::executor, *delay);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

void meter_whole(Surface surface, std::string_view body, UsageMeter& meter) {
  Watch(surface, meter).whole(body);
}

std::unique_ptr<http::BodyStream> relay_verbatim(Surface surface,
                                                 std::unique_ptr<http::BodyStream> upstream,
                                                 const catalog::ServedEntity& entity,
                                                 std::shared_ptr<const void> keep,
                                                 std::unique_ptr<UsageMeter> meter,
                                                 std::chrono::milliseconds time_limit) {
  return std::make_unique<VerbatimRelay>(surface, std::move(upstream), entity, std::move(keep),
                                         std::move(meter), time_limit);
}

}  // namespace tessera::gateway
