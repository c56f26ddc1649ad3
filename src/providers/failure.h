// What a provider's failure means to our client (external-providers 1.11): one table for all
// dialects. A dialect reads code and message out of its body and leaves the rest to to_error().
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "providers/provider.h"

namespace tessera::providers {

// A failure in the provider's words.
struct Failure {
  std::string_view provider;  // as in the configuration: "anthropic", "amazon-bedrock"
  std::string code;           // "overloaded_error", "ThrottlingException"; may be empty
  std::string message;        // empty: the status and the first 200 bytes of the body are told
  std::string param;          // the client's field, where the provider names one that we know
  // The status that stands for it, where none came (in a stream) or another one tells more; 0: the
  // answer's own.
  int meaning = 0;
  std::optional<ErrorKind> kind;     // where the dialect knows better than the table
  std::optional<bool> should_retry;  // likewise; else the header x-should-retry
};

// `wire` is the answer: its status, the headers with the provider's request id and its wish when to
// come back (retry-after-ms, retry-after in seconds or as a date, measured from the header date),
// and the body. In a stream: status 0 and the event's payload as body.
//
// By what the code says (quota, context length, content filter), else by the status, else by the
// context-length patterns of the provider.
Error to_error(const Failure& failure, const WireResponse& wire);

// An error body of any shape in use: {"error": {message, code | status | type, param}}, the same in
// an array, {"error": "text"}, {"message"}, {"Message"}, {"detail": "text" | [{"msg"}]}, with the
// code in "code", "status", "type", "__type" or "error_code". Empty where it tells nothing (HTML).
struct FailureBody {
  std::string code, type, message, param, request_id;
};
FailureBody read_failure_body(std::string_view body);

// Anything that looks like a key becomes "[redacted]": providers echo parts of a wrong one.
std::string redact(std::string_view text);
// At most `bytes`, never in the middle of a character, and valid UTF-8.
std::string cut(std::string_view text, std::size_t bytes);

// The shortest way to a kProviderBadResponse (502) about an answer that cannot be understood.
Error bad_response(std::string_view provider, std::string_view what);

}  // namespace tessera::providers
