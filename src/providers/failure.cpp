#include "providers/failure.h"

#include <time.h>

#include <algorithm>
#include <cctype>

#include "base/json.h"
#include "base/strings.h"

namespace tessera::providers {
namespace {

constexpr std::size_t kMaxMessageBytes = 2048;
constexpr std::size_t kExcerptBytes = 200;
constexpr std::string_view kRedacted = "[redacted]";

// --- What it means ---

struct CodeRow {
  std::string_view code;
  ErrorKind kind;
};

// Codes that say more than the status beside them.
constexpr CodeRow kCodes[] = {
    {"insufficient_quota", ErrorKind::kProviderQuotaExhausted},
    {"billing_hard_limit_reached", ErrorKind::kProviderQuotaExhausted},
    {"billing_error", ErrorKind::kProviderQuotaExhausted},
    {"context_length_exceeded", ErrorKind::kContextLengthExceeded},
    {"content_filter", ErrorKind::kProviderContentFilter},
    {"content_policy_violation", ErrorKind::kProviderContentFilter},
    {"ResponsibleAIPolicyViolation", ErrorKind::kProviderContentFilter},
};

// How providers say without a code of its own that the prompt is too long; in lower case.
struct ContextPattern {
  std::string_view provider;  // empty: any
  std::string_view text;
  bool at_start = false;
};
constexpr ContextPattern kContextPatterns[] = {
    {"", "maximum context length"},  // OpenAI and what is compatible
    {"", "context_length_exceeded"},
    {"", "reduce the length of the messages"},
    {"anthropic", "prompt is too long"},
    {"anthropic", "exceed context limit"},
    {"cohere", "too many tokens", true},
    {"amazon-bedrock",
     "too long"},  // "Input is too long for requested model", "prompt is too long"
    {"amazon-bedrock", "maximum context"},
    {"amazon-bedrock", "exceed context limit"},
    {"amazon-bedrock", "too many tokens", true},
    {"amazon-bedrock", "too many input tokens"},
    {"google-cloud-vertex-ai", "exceeds the maximum number of tokens"},
    {"google-cloud-vertex-ai", "input token count"},
    {"google-cloud-vertex-ai", "prompt is too long"},  // Claude's words
    {"palm", "exceeds the maximum number of tokens"},
    {"ai21labs", "prompt is too long"},
    {"ai21labs", "too many tokens"},
    {"ai21labs", "tokens, but the limit"},
};

bool speaks_of_context(std::string_view provider, std::string_view message) {
  const std::string lower = to_lower(message);
  return std::ranges::any_of(kContextPatterns, [&](const ContextPattern& row) {
    if (!row.provider.empty() && row.provider != provider) return false;
    return row.at_start ? lower.starts_with(row.text) : lower.find(row.text) != std::string::npos;
  });
}

ErrorKind kind_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
    case 407:
      return ErrorKind::kProviderAuthentication;
    case 402:
      return ErrorKind::kProviderQuotaExhausted;
    case 404:
    case 410:
      return ErrorKind::kProviderModelNotFound;
    case 408:
    case 504:
      return ErrorKind::kProviderTimeout;
    case 413:
      return ErrorKind::kPayloadTooLarge;
    case 429:
      return ErrorKind::kProviderRateLimited;
    case 503:
    case 529:
      return ErrorKind::kProviderOverloaded;
    default:
      break;
  }
  if (status == 424 || status >= 500 || status < 400) return ErrorKind::kProviderError;
  return ErrorKind::kProviderRejected;
}

ErrorKind kind_of(const Failure& failure, int status, std::string_view message) {
  if (failure.kind) return *failure.kind;
  for (const CodeRow& row : kCodes) {
    if (row.code == failure.code) return row.kind;
  }
  const ErrorKind kind = kind_of_status(status);
  const bool about_request =
      kind == ErrorKind::kProviderRejected || kind == ErrorKind::kPayloadTooLarge;
  if (about_request && speaks_of_context(failure.provider, message)) {
    return ErrorKind::kContextLengthExceeded;
  }
  return kind;
}

// --- What the headers say ---

std::string request_id_of(const WireResponse& wire) {
  for (const char* name : {"request-id", "x-request-id", "x-amzn-requestid", "apim-request-id",
                           "x-goog-request-id", "x-trace-id"}) {
    const std::string_view id = wire.header(name);
    if (!id.empty()) return cut(id, 200);
  }
  return {};
}

// RFC 9110 5.6.7, its preferred form: "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<std::int64_t> parse_http_date(std::string_view text) {
  const std::string copy(text);
  tm parts{};
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return timegm(&parts);
}

// When to come back, in milliseconds from now; no more than a day is believed.
std::optional<std::int64_t> retry_after_ms(const WireResponse& wire) {
  constexpr double kDayMs = 86'400'000;
  const auto within = [kDayMs](double ms) -> std::optional<std::int64_t> {
    if (!(ms >= 0)) return std::nullopt;
    return static_cast<std::int64_t>(std::min(ms, kDayMs));
  };
  if (const auto ms = parse_double(trim(wire.header("retry-after-ms")))) return within(*ms);
  const std::string_view after = trim(wire.header("retry-after"));
  if (const auto seconds = parse_double(after)) return within(*seconds * 1000);
  const auto date = parse_http_date(after), now = parse_http_date(trim(wire.header("date")));
  if (date && now) return within(1000.0 * static_cast<double>(*date - *now));
  return std::nullopt;
}

std::optional<bool> should_retry(const WireResponse& wire) {
  const std::string_view wish = wire.header("x-should-retry");
  if (iequals(wish, "true")) return true;
  if (iequals(wish, "false")) return false;
  return std::nullopt;
}

std::string message_of(const Failure& failure, const WireResponse& wire) {
  if (!trim(failure.message).empty()) return failure.message;
  std::string message = "The provider '" + std::string(failure.provider) + "' ";
  if (wire.status == 0) {
    message += "reported an error";
  } else {
    message += "answered with status " + std::to_string(wire.status);
  }
  if (!failure.code.empty()) message += " (" + failure.code + ")";
  const std::string excerpt = cut(trim(wire.body), kExcerptBytes);
  return excerpt.empty() ? message + "." : message + ": " + excerpt;
}

// --- Bodies ---

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = find_field(object, name);
  if (value == nullptr) return {};
  if (value->is_string()) return std::string(value->get_string());
  if (value->is_int64()) return std::to_string(value->get_int64());
  return {};
}

std::string first_text(const json::object& object, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::string text = text_of(object, name);
    if (!text.empty()) return text;
  }
  return {};
}

// FastAPI's: a text, or a list of {"loc", "msg", "type"}.
std::string detail_of(const json::value& detail) {
  if (detail.is_string()) return std::string(detail.get_string());
  const json::array* entries = detail.if_array();
  std::string joined;
  if (entries == nullptr) return joined;
  for (const json::value& entry : *entries) {
    const json::object* object = entry.if_object();
    if (object == nullptr) continue;
    std::string where;
    if (const json::value* loc = find_field(*object, "loc"); loc != nullptr && loc->is_array()) {
      for (const json::value& step : loc->get_array()) {
        if (!where.empty()) where += '.';
        where += step.is_string() ? std::string(step.get_string()) : tessera::to_json(step);
      }
    }
    if (!joined.empty()) joined += "; ";
    if (!where.empty()) joined += where + ": ";
    joined += text_of(*object, "msg");
  }
  return joined;
}

// --- Keys ---

bool is_token_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '*' ||
         c == '+' || c == '/' || c == '=' || c == '.';
}

// Prefixes of keys and tokens in use, and how long what follows must be to be one.
struct KeyPrefix {
  std::string_view prefix;
  std::size_t more;
};
constexpr KeyPrefix kKeyPrefixes[] = {
    {"sk-", 4},   {"sk_", 8},   {"pk-", 8},    {"dapi", 8},  {"AIza", 8},
    {"ya29.", 4}, {"AKIA", 12}, {"ASIA", 12},  {"ABSK", 12}, {"bedrock-api-key-", 4},
    {"eyJ", 20},  {"hf_", 8},   {"tskd_", 8},  {"ghp_", 8},  {"xai-", 8},
    {"gsk_", 8},  {"1//", 20},  {"GOCSPX-", 4}};

// A run of 32 letters and digits with both among them is no word of a language. Hyphens, dots and
// slashes cut runs, so that model names, ARNs, URLs and UUIDs stay readable.
bool has_random_run(std::string_view token) {
  std::size_t run = 0, digits = 0, letters = 0;
  for (const char c : token) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    const bool letter = std::isalpha(static_cast<unsigned char>(c)) != 0;
    if (!digit && !letter && c != '_' && c != '+' && c != '=' && c != '*') {
      run = digits = letters = 0;
      continue;
    }
    ++run;
    digits += digit;
    letters += letter;
    if (run >= 32 && digits >= 4 && letters >= 4) return true;
  }
  return false;
}

bool looks_like_key(std::string_view token) {
  for (const KeyPrefix& row : kKeyPrefixes) {
    if (token.starts_with(row.prefix) && token.size() >= row.prefix.size() + row.more) return true;
  }
  if (token.find("****") != std::string_view::npos) return true;  // masked by the provider
  return has_random_run(token);
}

}  // namespace

std::string cut(std::string_view text, std::size_t bytes) {
  if (text.size() > bytes) {
    text = text.substr(0, bytes);
    // Not the first bytes of a character whose last ones went.
    std::size_t start = text.size();
    while (start > 0 && text.size() - start < 4) {
      --start;
      if ((static_cast<unsigned char>(text[start]) & 0xC0) != 0x80) break;
    }
    if (utf8_sequence_length(text.substr(start)) == 0) text = text.substr(0, start);
  }
  return utf8_sanitize(text);
}

std::string redact(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool after_bearer = false;
  for (std::size_t i = 0; i < text.size();) {
    if (!is_token_char(text[i])) {
      if (text[i] != ' ' && text[i] != ':') after_bearer = false;
      out += text[i++];
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && is_token_char(text[end])) ++end;
    std::string_view token = text.substr(i, end - i);
    std::string_view tail;  // the sentence's full stop is not the key's
    while (token.ends_with('.')) {
      token.remove_suffix(1);
      tail = ".";
    }
    const bool key = looks_like_key(token) || (after_bearer && token.size() >= 8);
    out += key ? kRedacted : token;
    out += text.substr(i + token.size(), end - i - token.size());
    after_bearer = iequals(token, "bearer");
    i = end;
  }
  return out;
}

FailureBody read_failure_body(std::string_view body) {
  FailureBody read;
  json::value tree;
  try {
    tree = parse_json(body);
  } catch (const Error&) {
    return read;  // not ours to complain about: proxies send HTML
  }
  if (tree.is_array() && !tree.get_array().empty()) {
    json::value first = tree.get_array().front();
    tree = std::move(first);
  }
  const json::object* root = tree.if_object();
  if (root == nullptr) return read;
  read.request_id = text_of(*root, "request_id");
  const json::value* member = find_field(*root, "error");
  const json::object* inner = member == nullptr ? nullptr : member->if_object();
  const json::object& source = inner == nullptr ? *root : *inner;
  // "code" is Google's number beside its "status".
  read.code = first_text(source, {"status", "code"});
  if (parse_int(read.code)) read.code.clear();
  if (const json::value* code = find_field(source, "code"); read.code.empty() && code != nullptr) {
    if (code->is_string()) read.code = std::string(code->get_string());
  }
  read.type = first_text(source, {"type", "__type"});
  if (inner != nullptr && read.type.empty()) read.type = text_of(*root, "type");
  if (read.code.empty()) read.code = text_of(*root, "error_code");
  if (read.code.empty()) read.code = read.type;
  if (const std::size_t hash = read.code.rfind('#'); hash != std::string::npos) {
    read.code.erase(0, hash + 1);  // "com.amazon.coral.service#AccessDeniedException"
  }
  read.param = text_of(source, "param");
  read.message = first_text(source, {"message", "Message", "error_message"});
  if (read.message.empty()) read.message = first_text(*root, {"message", "Message", "error"});
  if (const json::value* detail = find_field(*root, "detail");
      read.message.empty() && detail != nullptr) {
    read.message = detail_of(*detail);
  }
  return read;
}

Error to_error(const Failure& failure, const WireResponse& wire) {
  const int status = failure.meaning != 0 ? failure.meaning : wire.status;
  std::string message = message_of(failure, wire);
  const ErrorKind kind = kind_of(failure, status, message);
  if (kind == ErrorKind::kProviderAuthentication) {
    message = "The provider '" + std::string(failure.provider) +
              "' does not accept the endpoint's credentials: " + message;
  }
  Error error(kind, cut(redact(message), kMaxMessageBytes), failure.param);
  if (kind == ErrorKind::kProviderRejected && !failure.code.empty()) {
    error.code = cut(failure.code, kExcerptBytes);
  }
  auto about = std::make_shared<ProviderFailure>();
  about->provider = failure.provider;
  about->code = cut(failure.code, kExcerptBytes);
  about->status = wire.status;
  about->request_id = request_id_of(wire);
  if (about->request_id.empty()) {
    about->request_id = cut(read_failure_body(wire.body).request_id, kExcerptBytes);
  }
  about->body = cut(redact(cut(wire.body, 2 * kMaxMessageBytes)), kMaxMessageBytes);
  about->should_retry = failure.should_retry ? failure.should_retry : should_retry(wire);
  error.provider = std::move(about);
  if (const auto ms = retry_after_ms(wire)) {
    error.retry_after_ms = *ms;
    error.retry_after_s = static_cast<int>((*ms + 999) / 1000);
  }
  return error;
}

Error bad_response(std::string_view provider, std::string_view what) {
  Error error(ErrorKind::kProviderBadResponse, "The answer of the provider '" +
                                                   std::string(provider) +
                                                   "' cannot be read: " + std::string(what));
  auto about = std::make_shared<ProviderFailure>();
  about->provider = provider;
  error.provider = std::move(about);
  return error;
}

}  // namespace tessera::providers
