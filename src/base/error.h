// The one error type of Tessera, and what each kind of error looks like on the wire.
//
// Throw an Error when the request (or start-up) at hand cannot go on; it is caught in http/session,
// gateway/attempt, engine/engine and app/main only. Absence is std::optional. Where the caller
// branches on failure, return Result<T>; its .value() rethrows the Error.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

// One enumerator per row of the error catalogue. The wire form of each (HTTP status, Databricks
// error_code, OpenAI type and code) stands in one table in error.cpp.
enum class ErrorKind {
  // The request is wrong.
  kBadJson,
  kUnknownField,
  kMissingParam,
  kWrongType,
  kOutOfRange,
  kArrayLength,
  kBadValue,
  kBadTokenId,
  kConflictingFields,
  kUnsupportedParameter,
  kUnsupportedValue,
  kUnsupportedContent,
  kBadMessage,
  kMaxTokensTooLarge,
  kContextLengthExceeded,
  kWrongTask,
  // The endpoint cannot answer.
  kEndpointStopped,
  kNeverReady,
  kEndpointNotFound,
  kEndpointRetired,
  kEntityNotFound,
  // Identity.
  kUnauthenticated,
  kBadToken,
  kPermissionDenied,
  // HTTP.
  kPathNotFound,
  kMethodNotAllowed,
  kReadTimeout,
  kPayloadTooLarge,
  kUnsupportedMediaType,
  kHeadersTooLarge,
  // Load and failure.
  kRateLimited,
  kQueueFull,
  kClientClosed,
  kEngineFailure,
  kInternal,
  kNotImplemented,
  kUpstreamBadGateway,
  kNotReady,
  kShuttingDown,
  kDeadlineExceeded,
  // Control plane.
  kInvalidParameterValue,
  kInvalidState,
  kResourceDoesNotExist,
  kResourceAlreadyExists,
  kResourceConflict,
  kResourceLimitExceeded,
  // What an external provider answered, or why it did not (external-providers 1.11).
  kProviderRejected,
  kProviderContentFilter,
  kProviderModelNotFound,
  kProviderQuotaExhausted,
  kProviderRateLimited,
  kProviderAuthentication,
  kProviderError,
  kProviderUnreachable,
  kProviderBadResponse,
  kProviderOverloaded,
  kProviderTimeout,
  // Files, flags and data on this machine; never caused by a remote client.
  kBadModelFile,
  kUnsupportedModel,
  kBadConfiguration,
  kIo,
};

// How a kind appears to clients (data-plane 5.3, control-plane 7.2).
struct ErrorWire {
  int http_status;
  std::string_view error_code;   // Databricks, e.g. "INVALID_PARAMETER_VALUE"
  std::string_view openai_type;  // e.g. "invalid_request_error"
  std::string_view openai_code;  // e.g. "context_length_exceeded"
};

const ErrorWire& wire_form(ErrorKind kind);
inline int http_status(ErrorKind kind) { return wire_form(kind).http_status; }

// What is known about the failure of an external provider; goes to clients beside our own words.
struct ProviderFailure {
  std::string provider;              // "anthropic"
  std::string code;                  // as the provider says it, "overloaded_error"; may be empty
  int status = 0;                    // HTTP status; 0: none came
  std::string request_id;            // the provider's
  std::string body;                  // its error body, redacted and cut
  std::optional<bool> should_retry;  // where the provider or its dialect says so
};

struct Error : std::exception {
  Error() : Error(ErrorKind::kInternal, {}) {}  // boost::system::result wants one
  Error(ErrorKind kind, std::string message, std::string param = {})
      : kind(kind), message(std::move(message)), param(std::move(param)) {}

  const char* what() const noexcept override { return message.c_str(); }

  ErrorKind kind;
  std::string message;  // names the field, the value received and the value wanted
  std::string param;    // JSON path of the offending field; empty when none
  std::string code;     // overrides wire_form(kind).openai_code when not empty
  std::optional<int> retry_after_s;
  std::optional<std::int64_t> retry_after_ms;       // finer than retry_after_s, when known
  std::shared_ptr<const ProviderFailure> provider;  // not null for kProvider… kinds
  std::map<std::string, std::int64_t> extra;        // further members of the OpenAI error object
};

template <class T>
using Result = boost::system::result<T, Error>;

// Found by boost::system::result when .value() is called on a failure.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location&);

}  // namespace tessera
