#include "gateway/provider_call.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <limits>
#include <random>

#include "base/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "gateway/emulated_stream.h"
#include "gateway/fan_out.h"
#include "gateway/image_fetch.h"
#include "gateway/retry.h"
#include "providers/failure.h"

namespace tessera::gateway {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxErrorBody = 1u << 20;
constexpr milliseconds kIdleGap{120'000};  // between two bytes of a stream
constexpr int kDefaultRetries = 2;
constexpr std::size_t kLeastSecret = 4;  // shorter values would hit innocent text
constexpr int kCallsAtOnce = 4;          // of one embeddings request

double random_fraction() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

int option_int(const catalog::ExternalModel& model, const std::string& key, int otherwise) {
  const auto value = parse_int(model.option(key));
  return value && *value >= 0 && *value < 1'000'000 ? static_cast<int>(*value) : otherwise;
}

// The endpoint's secrets by exact match; redact() of the dialects only knows what keys look like.
void hide_secrets(std::string& text, const catalog::ExternalModel& model) {
  for (const auto& [name, secret] : model.secrets) {
    if (secret.value.size() < kLeastSecret) continue;
    for (std::size_t at = text.find(secret.value); at != std::string::npos;
         at = text.find(secret.value, at)) {
      text.replace(at, secret.value.size(), "[redacted]");
    }
  }
}

providers::HeaderList wire_headers(const http::Headers& headers) {
  providers::HeaderList list;
  for (const auto& [name, value] : headers) list.emplace_back(to_lower(name), value);
  return list;
}

// Where the model is: the provider's base, its origin replaced where the endpoint says so.
std::string full_url(const providers::Provider& provider, const catalog::ExternalModel& model,
                     std::string_view path) {
  std::string url = provider.base_url(model);
  if (std::string_view origin = model.option("base_url_override"); !origin.empty()) {
    while (origin.ends_with('/')) origin.remove_suffix(1);
    const std::size_t begin = url.find("://");
    const std::size_t end = begin == std::string::npos ? 0 : url.find('/', begin + 3);
    url = std::string(origin) + (end == std::string::npos ? std::string() : url.substr(end));
  }
  return url.append(path);
}

// One request after the other to one model, until it answers or there is no use in asking again.
class Exchange {
 public:
  Exchange(http::Client& client, Credentials& credentials, const providers::Provider& provider,
           const catalog::ExternalModel& model, const std::string& label, milliseconds time_left)
      : client_(client),
        credentials_(credentials),
        provider_(provider),
        model_(model),
        label_(label),
        auth_(provider.auth(model)),
        deadline_us_(steady_us() + time_left.count() * 1000) {}

  milliseconds left() const {
    return milliseconds(std::max<std::int64_t>(1, (deadline_us_ - steady_us()) / 1000));
  }

  // An answer of whatever status. Credentials that have run out are renewed once.
  asio::awaitable<http::ClientResponse> send(const std::string& url,
                                             const providers::HeaderList& headers,
                                             const std::string& body, bool stream) {
    for (bool renewed = false;; renewed = true) {
      http::ClientRequest request;
      std::tie(request.origin, request.target) = http::parse_url(url);
      request.origin.guarded = true;
      request.method = "POST";
      request.headers.set("content-type", "application/json");
      for (const auto& [name, value] : headers) request.headers.set(name, value);
      request.body = body;
      request.timeouts.first_byte = left();
      request.timeouts.between_bytes = left();
      if (stream) request.timeouts.between_bytes = kIdleGap;
      const std::string host = http::host_header(request.origin);
      const Grant grant = co_await credentials_.authorize(auth_, model_, label_, request);
      http::ClientResponse response;
      try {
        response = co_await client_.send(std::move(request));
      } catch (const Error& error) {
        throw transport_error(error, model_.provider);
      }
      const bool may_be_credentials = response.status >= 400 && response.status <= 403;
      if (renewed || !may_be_credentials || auth_.kind == providers::Auth::Kind::kHeader) {
        co_return response;
      }
      std::string text = co_await read(*response.body, kMaxErrorBody);
      if (!worth_renewing(response, text, grant, host)) {
        response.body = std::make_unique<Whole>(std::move(text));
        co_return response;
      }
    }
  }

  // The same, up to an answer with a 2xx status; any other is thrown as the provider means it.
  asio::awaitable<http::ClientResponse> require(const std::string& url,
                                                const providers::HeaderList& headers,
                                                const std::string& body, bool stream) {
    http::ClientResponse response = co_await send(url, headers, body, stream);
    if (response.status / 100 == 2) co_return response;
    const providers::WireResponse refusal = co_await whole(std::move(response), kMaxErrorBody);
    throw provider_.from_error(refusal);
  }

  asio::awaitable<providers::WireResponse> whole(http::ClientResponse response, std::size_t limit) {
    providers::WireResponse wire;
    wire.status = response.status;
    wire.headers = wire_headers(response.headers);
    wire.body = co_await read(*response.body, limit);
    co_return wire;
  }

 private:
  // A body that has been read already.
  class Whole final : public http::BodyStream {
   public:
    explicit Whole(std::string text) : text_(std::move(text)) {}
    asio::awaitable<std::optional<std::string>> next() override {
      if (text_.empty()) co_return std::nullopt;
      co_return std::exchange(text_, {});
    }

   private:
    std::string text_;
  };

  asio::awaitable<std::string> read(http::BodyStream& body, std::size_t limit) {
    std::string all;
    try {
      while (auto piece = co_await body.next()) {
        all += *piece;
        if (all.size() > limit) break;
        if (steady_us() > deadline_us_) {
          throw Error(ErrorKind::kDeadlineExceeded, "the answer was not complete in time");
        }
      }
    } catch (const Error& error) {
      throw transport_error(error, model_.provider);
    }
    if (all.size() > limit) {
      throw providers::bad_response(
          model_.provider, "the answer is larger than " + std::to_string(limit) + " bytes");
    }
    co_return all;
  }

  // A token that the provider no longer takes, or a signature that its clock finds too old.
  bool worth_renewing(const http::ClientResponse& response, const std::string& text,
                      const Grant& grant, const std::string& host) {
    const auto says = [&](std::string_view code) {
      return text.find(code) != std::string::npos ||
             response.headers.get("x-amzn-errortype").value_or("").find(code) !=
                 std::string_view::npos;
    };
    if (response.status == 401 || says("ExpiredToken")) return credentials_.renew(grant);
    if (auth_.kind != providers::Auth::Kind::kAwsSigV4) return false;
    if (!says("InvalidSignatureException") && !says("RequestTimeTooSkewed")) return false;
    return credentials_.correct_clock(host, response.headers.get("date").value_or(""));
  }

  http::Client& client_;
  Credentials& credentials_;
  const providers::Provider& provider_;
  const catalog::ExternalModel& model_;
  const std::string& label_;
  const providers::Auth auth_;
  const std::int64_t deadline_us_;
};

template <class Chunk, class Task>
std::unique_ptr<ChunkSource<Chunk>> chunk_source(const Task& task,
                                                 std::unique_ptr<http::BodyStream> body,
                                                 const providers::WireRequest& wire,
                                                 const catalog::ExternalModel& model) {
  // The model lives in the snapshot, which whoever reads the stream keeps.
  auto explain = [&model](const Error& error, bool transport) {
    if (!transport) return explained(error, model);
    Error broken = transport_error(error, model.provider);
    if (broken.kind != ErrorKind::kProviderUnreachable) return broken;
    broken.message = "The provider '" + model.provider + "' broke its answer off.";
    broken.code = "upstream_stream_truncated";
    return broken;
  };
  return std::make_unique<ChunkSource<Chunk>>(std::move(body), wire.framing, task.stream(wire.memo),
                                              std::move(explain));
}

class Call {
 public:
  Call(http::Client& client, Credentials& credentials, const ProviderCall& call)
      : call_(call),
        model_(*call.entity.external_model),
        provider_(dialect_of(model_)),
        exchange_(client, credentials, provider_, model_, call.entity.name, time_limit(call)) {}

  // `request` is that of the call, or a part of it.
  asio::awaitable<ProviderAnswer> run(const TaskRequest& request) {
    const providers::Context context{.model = model_, .seed = call_.seed, .now_s = now_s()};
    const providers::WireRequest wire = to_wire(request, provider_, context);
    const std::string url = full_url(provider_, model_, wire.path);
    const int most = call_.retry ? 1 + option_int(model_, "max_retries", kDefaultRetries) : 1;
    for (int tried = 1;; ++tried) {
      std::optional<Error> failure;
      ProviderAnswer answer;
      try {
        answer = co_await once(request, wire, url);
      } catch (const Error& error) {
        failure = explained(error, model_);
      }
      if (!failure) co_return answer;
      const auto delay =
          tried < most ? retry_delay(*failure, tried, random_fraction()) : std::nullopt;
      if (!delay || *delay >= exchange_.left()) throw *failure;
      log_info("gateway", "asking a provider again",
               {{"provider", model_.provider},
                {"entity", call_.entity.name},
                {"tried", tried},
                {"delay_ms", delay->count()},
                {"reason", failure->message}});
      asio::steady_timer timer(co_await asio::this_coro::executor, *delay);
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  // Of one embeddings call; the greatest number where the provider has no limit.
  std::size_t max_inputs() const { return limit(provider_.embeddings.max_inputs); }
  std::size_t max_bytes() const { return limit(provider_.embeddings.max_bytes); }

 private:
  std::size_t limit(int (*ask)(const catalog::ExternalModel&)) const {
    const int most = ask == nullptr ? 0 : ask(model_);
    return most > 0 ? static_cast<std::size_t>(most) : std::numeric_limits<std::size_t>::max();
  }

  static milliseconds time_limit(const ProviderCall& call) {
    const auto limit = request_timeout(*call.entity.external_model);
    return limit && !call.stream ? std::min(*limit, call.time_left) : call.time_left;
  }

  asio::awaitable<ProviderAnswer> once(const TaskRequest& request,
                                       const providers::WireRequest& wire, const std::string& url) {
    const bool streamed = call_.stream && !wire.emulated_stream;
    http::ClientResponse response =
        co_await exchange_.require(url, wire.headers, wire.body, streamed);
    ProviderAnswer answer;
    note_headers(answer.headers, response.headers, wire);
    if (!streamed) {
      const providers::WireResponse whole =
          co_await exchange_.whole(std::move(response), call_.max_response_bytes);
      read_whole(request, wire, whole, answer);
      if (wire.emulated_stream) emulate(answer);
      co_return answer;
    }
    if (std::holds_alternative<api::CompletionRequest>(request)) {
      auto source = chunk_source<api::CompletionResponse>(provider_.completions,
                                                          std::move(response.body), wire, model_);
      co_await source->begin();
      answer.stream = std::move(source);
    } else {
      auto source =
          chunk_source<api::ChatChunk>(provider_.chat, std::move(response.body), wire, model_);
      co_await source->begin();
      answer.stream = std::move(source);
    }
    co_return answer;
  }

  void note_headers(http::Headers& out, const http::Headers& theirs,
                    const providers::WireRequest& wire) const {
    if (std::string id = provider_request_id(theirs); !id.empty()) {
      out.set("x-provider-request-id", std::move(id));
    }
    if (!wire.dropped.empty()) out.set("x-tessera-dropped-params", join(wire.dropped, ","));
    if (wire.emulated_stream) out.set("x-tessera-stream", "emulated");
  }

  void read_whole(const TaskRequest& request, const providers::WireRequest& wire,
                  const providers::WireResponse& whole, ProviderAnswer& answer) const {
    if (std::holds_alternative<api::ChatRequest>(request)) {
      answer.whole = provider_.chat.from_wire(whole, wire.memo);
    } else if (std::holds_alternative<api::CompletionRequest>(request)) {
      answer.whole = provider_.completions.from_wire(whole, wire.memo);
    } else {
      answer.whole = provider_.embeddings.from_wire(whole, wire.memo);
    }
  }

  static void emulate(ProviderAnswer& answer) {
    if (auto* chat = std::get_if<api::ChatResponse>(&answer.whole)) {
      answer.stream = std::make_unique<ChunkSource<api::ChatChunk>>(chunks_of(std::move(*chat)));
    } else if (auto* text = std::get_if<api::CompletionResponse>(&answer.whole)) {
      answer.stream =
          std::make_unique<ChunkSource<api::CompletionResponse>>(chunks_of(std::move(*text)));
    }
  }

  const ProviderCall& call_;
  const catalog::ExternalModel& model_;
  const providers::Provider& provider_;
  Exchange exchange_;
};

// --- Embeddings: more inputs than the provider takes at once ---

struct Parts {
  std::vector<TaskRequest> requests;
  std::vector<ProviderAnswer> answers;
  std::size_t next = 0;
};

asio::awaitable<void> take_parts(Call& call, Parts& parts) {
  while (parts.next < parts.requests.size()) {
    const std::size_t mine = parts.next++;
    parts.answers[mine] = co_await call.run(parts.requests[mine]);
  }
}

ProviderAnswer joined(std::vector<ProviderAnswer> answers) {
  ProviderAnswer all = std::move(answers.front());
  auto& whole = std::get<api::EmbeddingResponse>(all.whole);
  for (std::size_t i = 1; i < answers.size(); ++i) {
    auto& part = std::get<api::EmbeddingResponse>(answers[i].whole);
    std::move(part.data.begin(), part.data.end(), std::back_inserter(whole.data));
    whole.usage.prompt_tokens += part.usage.prompt_tokens;
    whole.usage.total_tokens += part.usage.total_tokens;
  }
  return all;
}

// As many inputs together as the provider takes in one call, in order.
std::vector<TaskRequest> cut(const api::EmbeddingRequest& request, std::size_t most_inputs,
                             std::size_t most_bytes) {
  std::vector<TaskRequest> parts;
  api::EmbeddingRequest part = request;
  part.inputs.clear();
  std::size_t bytes = 0;
  for (const api::TextOrTokens& input : request.inputs) {
    const bool full = part.inputs.size() >= most_inputs || bytes + input.text.size() > most_bytes;
    if (full && !part.inputs.empty()) {
      parts.emplace_back(part);
      part.inputs.clear();
      bytes = 0;
    }
    bytes += input.text.size();
    part.inputs.push_back(input);
  }
  parts.emplace_back(std::move(part));
  return parts;
}

asio::awaitable<ProviderAnswer> embed(Call& call, std::vector<TaskRequest> requests) {
  Parts parts;
  parts.requests = std::move(requests);
  parts.answers.resize(parts.requests.size());
  std::vector<asio::awaitable<void>> lanes;
  for (int i = 0; i < kCallsAtOnce; ++i) lanes.push_back(take_parts(call, parts));
  co_await run_all(std::move(lanes));
  co_return joined(std::move(parts.answers));
}

}  // namespace

const providers::Provider& dialect_of(const catalog::ExternalModel& model) {
  if (const providers::Provider* provider = providers::find_provider(model)) return *provider;
  throw Error(ErrorKind::kNotImplemented, "External models of the provider " +
                                              quote_for_message(model.provider) +
                                              " are not supported.");
}

std::optional<milliseconds> request_timeout(const catalog::ExternalModel& model) {
  const int seconds = option_int(model, "request_timeout_s", 0);
  if (seconds == 0) return std::nullopt;
  return milliseconds(std::int64_t{1000} * seconds);
}

std::string provider_request_id(const http::Headers& headers) {
  for (const char* name : {"request-id", "x-request-id", "apim-request-id", "x-amzn-requestid",
                           "x-debug-trace-id", "x-goog-request-id"}) {
    if (const auto value = headers.get(name); value && !value->empty()) {
      return std::string(value->substr(0, 200));
    }
  }
  return {};
}

Error explained(Error error, const catalog::ExternalModel& model) {
  // Parsers of api/ and http/ know no providers.
  if (error.kind == ErrorKind::kUpstreamBadGateway && error.code != "upstream_stream_truncated") {
    error.kind = ErrorKind::kProviderBadResponse;
    error.code.clear();
  }
  ProviderFailure failure = error.provider ? *error.provider : ProviderFailure{};
  if (failure.provider.empty()) failure.provider = model.provider;
  hide_secrets(failure.body, model);
  hide_secrets(failure.code, model);
  hide_secrets(error.message, model);
  error.provider = std::make_shared<const ProviderFailure>(std::move(failure));
  return error;
}

asio::awaitable<ProviderAnswer> call_provider(http::Client& client, Credentials& credentials,
                                              ProviderCall call) {
  std::optional<TaskRequest> changed;
  const TaskRequest* request = &call.request;
  if (const auto* chat = std::get_if<api::ChatRequest>(request);
      chat != nullptr && wants_images_inlined(*call.entity.external_model, *chat)) {
    changed = co_await inline_images(client, *chat);
    request = &*changed;
  }
  Call each(client, credentials, call);
  if (const auto* texts = std::get_if<api::EmbeddingRequest>(request)) {
    std::vector<TaskRequest> parts = cut(*texts, each.max_inputs(), each.max_bytes());
    if (parts.size() > 1) co_return co_await embed(each, std::move(parts));
  }
  co_return co_await each.run(*request);
}

asio::awaitable<http::ClientResponse> call_raw(http::Client& client, Credentials& credentials,
                                               RawCall call) {
  const providers::Provider& provider = dialect_of(call.model);
  Exchange exchange(client, credentials, provider, call.model, call.label, call.time_left);
  const std::string url = full_url(provider, call.model, call.path);
  std::optional<Error> failure;
  http::ClientResponse response;
  try {
    response = co_await exchange.send(url, call.headers, call.body, call.stream);
  } catch (const Error& error) {
    failure = explained(error, call.model);
  }
  if (failure) throw *failure;
  co_return response;
}

}  // namespace tessera::gateway
