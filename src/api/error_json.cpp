#include "api/error_json.h"

#include "api/json_writer.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

void write_error_object(JsonWriter& w, const Error& error) {
  const ErrorWire& wire = wire_form(error.kind);
  w.key("error").begin_object();
  w.member("message", error.message).member("type", wire.openai_type).key("param");
  if (error.param.empty()) {
    w.value(nullptr);
  } else {
    w.value(error.param);
  }
  w.member("code", error.code.empty() ? wire.openai_code : std::string_view(error.code));
  for (const auto& [name, value] : error.extra) w.member(name, value);
  if (const ProviderFailure* failure = error.provider.get()) {
    w.member("provider", failure->provider);
    if (!failure->code.empty()) w.member("provider_code", failure->code);
    if (failure->status != 0) w.member("provider_status", failure->status);
  }
  w.end_object();
}

// Native routes tell an external provider's failure as Databricks does (data-plane 2.16).
void write_external_failure(JsonWriter& w, const ProviderFailure& failure) {
  w.member("error", "Received error from " + failure.provider);
  if (failure.body.empty()) return;
  w.key("external_model_message");
  boost::system::error_code bad;
  const json::value body = json::parse(failure.body, bad);
  if (!bad && body.is_object()) {
    w.raw(tessera::to_json(body));
  } else {
    w.value(failure.body);
  }
}

void write_details(JsonWriter& w, const Error& error, std::string_view request_id) {
  if (request_id.empty() && !error.retry_after_s) return;
  w.key("details").begin_array();
  if (!request_id.empty()) {
    w.begin_object().member("@type", "type.googleapis.com/google.rpc.RequestInfo");
    w.member("request_id", request_id).member("serving_data", "").end_object();
  }
  if (error.retry_after_s) {
    w.begin_object().member("@type", "type.googleapis.com/google.rpc.RetryInfo");
    w.member("retry_delay", std::to_string(*error.retry_after_s) + "s").end_object();
  }
  w.end_array();
}

// The kind whose wire form this was, or the nearest one for the status; status 0 is not known.
ErrorKind kind_of(int status, std::string_view error_code, std::string_view openai_code) {
  std::optional<ErrorKind> same_code;
  for (int i = 0; i <= static_cast<int>(ErrorKind::kIo); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    const ErrorWire& wire = wire_form(kind);
    if (status != 0 && wire.http_status != status) continue;
    if (!openai_code.empty() && wire.openai_code == openai_code) return kind;
    if (!same_code && !error_code.empty() && wire.error_code == error_code) same_code = kind;
  }
  if (same_code) return *same_code;
  switch (status) {
    case 401:
      return ErrorKind::kUnauthenticated;
    case 403:
      return ErrorKind::kPermissionDenied;
    case 404:
      return ErrorKind::kEndpointNotFound;
    case 408:
      return ErrorKind::kReadTimeout;
    case 409:
      return ErrorKind::kResourceConflict;
    case 413:
      return ErrorKind::kPayloadTooLarge;
    case 429:
      return ErrorKind::kRateLimited;
    case 501:
      return ErrorKind::kNotImplemented;
    case 503:
      return ErrorKind::kNotReady;
    case 504:
      return ErrorKind::kDeadlineExceeded;
    default:
      break;
  }
  if (status == 0 || status >= 500) return ErrorKind::kUpstreamBadGateway;
  return ErrorKind::kBadValue;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = find_field(object, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

std::string error_json(const Error& error, ErrorStyle style, std::string_view request_id) {
  const ErrorWire& wire = wire_form(error.kind);
  JsonWriter w(256);
  w.begin_object();
  if (style == ErrorStyle::kOpenAi) write_error_object(w, error);
  w.member("error_code", wire.error_code).member("message", error.message);
  // Native routes have the figures of a limit beside the message (data-plane 5.5).
  if (style == ErrorStyle::kDatabricks && error.kind == ErrorKind::kRateLimited) {
    for (const auto& [name, value] : error.extra) w.member(name, value);
  }
  if (style == ErrorStyle::kDatabricks && error.provider) {
    write_external_failure(w, *error.provider);
  }
  write_details(w, error, request_id);
  return w.end_object().take();
}

std::string stream_error_json(const Error& error) {
  JsonWriter w(256);
  write_error_object(w.begin_object(), error);
  w.member("error_code", wire_form(error.kind).error_code).member("message", error.message);
  return w.end_object().take();
}

Error parse_error(int http_status, std::string_view body) {
  json::object root;
  try {
    root = parse_json_object(body);
  } catch (const Error&) {
    // Not ours to complain about: proxies send HTML.
  }
  const json::value* member = find_field(root, "error");
  const json::object* inner = member == nullptr ? nullptr : member->if_object();
  const json::object& source = inner == nullptr ? root : *inner;

  std::string message = text_of(source, "message");
  if (message.empty()) message = text_of(root, "message");
  if (message.empty() && member != nullptr && member->is_string()) message = text_of(root, "error");
  if (message.empty()) {
    message = http_status == 0 ? "The upstream reported an error"
                               : "The upstream answered with status " + std::to_string(http_status);
    const std::string_view excerpt = utf8_prefix(trim(body), 200);
    if (!excerpt.empty()) message += ": " + utf8_sanitize(excerpt);
  }
  const std::string code = text_of(source, "code");
  const ErrorKind kind = kind_of(http_status, text_of(root, "error_code"), code);
  Error error(kind, utf8_sanitize(utf8_prefix(message, 2048)), text_of(source, "param"));
  if (code != wire_form(kind).openai_code) error.code = code;
  if (inner != nullptr) {
    for (const auto& [name, value] : *inner) {
      if (const std::int64_t* number = value.if_int64(); number != nullptr && name != "code") {
        error.extra.emplace(name, *number);
      }
    }
  }
  return error;
}

std::optional<Error> parse_stream_error(std::string_view payload) {
  // Inside a JSON text these seven characters can only be a member's name or a whole string: most
  // chunks are not looked at twice.
  if (payload.find("\"error\"") == std::string_view::npos) return std::nullopt;
  try {
    if (find_field(parse_json_object(payload), "error") == nullptr) return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;  // its decoder will say what is wrong
  }
  return parse_error(0, payload);
}

std::vector<std::pair<std::string, std::string>> retry_headers(const Error& error) {
  const int status = http_status(error.kind);
  if (status == 409) return {{"x-should-retry", "false"}};
  if (status != 429 && status != 503) return {};
  const std::int64_t seconds = std::max(1, error.retry_after_s.value_or(1));
  const std::int64_t ms = std::max<std::int64_t>(1, error.retry_after_ms.value_or(1000 * seconds));
  std::vector<std::pair<std::string, std::string>> headers;
  headers.emplace_back("retry-after", std::to_string((ms + 999) / 1000));
  headers.emplace_back("retry-after-ms", std::to_string(ms));
  // Waiting does not fill an empty account.
  std::optional<bool> retry = error.provider ? error.provider->should_retry : std::nullopt;
  if (error.kind == ErrorKind::kProviderQuotaExhausted) retry = false;
  if (retry) headers.emplace_back("x-should-retry", *retry ? "true" : "false");
  return headers;
}

}  // namespace tessera::api
