#include "base/error.h"

#include <array>

namespace tessera {
namespace {

constexpr std::string_view kRequest = "invalid_request_error";
constexpr std::string_view kInvalid = "INVALID_PARAMETER_VALUE";
constexpr std::string_view kUnavailable = "TEMPORARILY_UNAVAILABLE";

struct Row {
  ErrorKind kind;
  ErrorWire wire;
};

// In the order of the enumeration; checked below.
constexpr Row kCatalogue[] = {
    {ErrorKind::kBadJson, {400, "BAD_REQUEST", kRequest, "invalid_json"}},
    {ErrorKind::kUnknownField, {400, "BAD_REQUEST", kRequest, "unknown_parameter"}},
    {ErrorKind::kMissingParam, {400, kInvalid, kRequest, "missing_required_parameter"}},
    {ErrorKind::kWrongType, {400, kInvalid, kRequest, "invalid_type"}},
    {ErrorKind::kOutOfRange, {400, kInvalid, kRequest, "invalid_value"}},
    {ErrorKind::kArrayLength, {400, kInvalid, kRequest, "invalid_value"}},
    {ErrorKind::kBadValue, {400, kInvalid, kRequest, "invalid_value"}},
    {ErrorKind::kBadTokenId, {400, kInvalid, kRequest, "invalid_value"}},
    {ErrorKind::kConflictingFields, {400, kInvalid, kRequest, "invalid_value"}},
    {ErrorKind::kUnsupportedParameter, {400, "BAD_REQUEST", kRequest, "unsupported_parameter"}},
    {ErrorKind::kUnsupportedValue, {400, "BAD_REQUEST", kRequest, "unsupported_value"}},
    {ErrorKind::kUnsupportedContent, {400, "BAD_REQUEST", kRequest, "unsupported_value"}},
    {ErrorKind::kBadMessage, {400, kInvalid, kRequest, "invalid_value"}},
    {ErrorKind::kMaxTokensTooLarge, {400, "BAD_REQUEST", kRequest, "invalid_value"}},
    {ErrorKind::kContextLengthExceeded, {400, "BAD_REQUEST", kRequest, "context_length_exceeded"}},
    {ErrorKind::kWrongTask, {400, "BAD_REQUEST", kRequest, "invalid_endpoint_task"}},
    {ErrorKind::kEndpointStopped, {400, "INVALID_STATE", kRequest, "endpoint_stopped"}},
    {ErrorKind::kNeverReady, {400, "INVALID_STATE", kRequest, "endpoint_not_ready"}},
    {ErrorKind::kEndpointNotFound,
     {404, "RESOURCE_DOES_NOT_EXIST", "not_found_error", "model_not_found"}},
    {ErrorKind::kEndpointRetired,
     {404, "RESOURCE_DOES_NOT_EXIST", "not_found_error", "model_not_found"}},
    {ErrorKind::kEntityNotFound,
     {404, "RESOURCE_DOES_NOT_EXIST", "not_found_error", "served_entity_not_found"}},
    {ErrorKind::kUnauthenticated,
     {401, "UNAUTHENTICATED", "authentication_error", "missing_credentials"}},
    {ErrorKind::kBadToken, {401, "UNAUTHENTICATED", "authentication_error", "invalid_token"}},
    {ErrorKind::kPermissionDenied,
     {403, "PERMISSION_DENIED", "permission_error", "permission_denied"}},
    {ErrorKind::kPathNotFound, {404, "ENDPOINT_NOT_FOUND", "not_found_error", "unknown_url"}},
    {ErrorKind::kMethodNotAllowed, {405, "METHOD_NOT_ALLOWED", kRequest, "method_not_allowed"}},
    {ErrorKind::kReadTimeout, {408, "REQUEST_TIMEOUT", "timeout_error", "request_timeout"}},
    {ErrorKind::kPayloadTooLarge, {413, "REQUEST_TOO_LARGE", kRequest, "request_too_large"}},
    {ErrorKind::kUnsupportedMediaType,
     {415, "UNSUPPORTED_MEDIA_TYPE", kRequest, "unsupported_media_type"}},
    {ErrorKind::kHeadersTooLarge, {431, "BAD_REQUEST", kRequest, "headers_too_large"}},
    {ErrorKind::kRateLimited,
     {429, "REQUEST_LIMIT_EXCEEDED", "rate_limit_exceeded", "rate_limit_exceeded"}},
    {ErrorKind::kQueueFull,
     {429, "RESOURCE_EXHAUSTED", "rate_limit_exceeded", "engine_overloaded"}},
    {ErrorKind::kClientClosed, {499, "CANCELLED", "server_error", "client_closed"}},
    {ErrorKind::kEngineFailure, {500, "INTERNAL_ERROR", "server_error", "engine_failure"}},
    {ErrorKind::kInternal, {500, "INTERNAL_ERROR", "server_error", "internal_error"}},
    {ErrorKind::kNotImplemented, {501, "NOT_IMPLEMENTED", "server_error", "not_implemented"}},
    {ErrorKind::kUpstreamBadGateway, {502, "INTERNAL_ERROR", "server_error", "bad_gateway"}},
    {ErrorKind::kNotReady, {503, kUnavailable, "server_error", "endpoint_not_ready"}},
    {ErrorKind::kShuttingDown, {503, kUnavailable, "server_error", "shutting_down"}},
    {ErrorKind::kDeadlineExceeded,
     {504, "DEADLINE_EXCEEDED", "timeout_error", "deadline_exceeded"}},
    {ErrorKind::kInvalidParameterValue, {400, kInvalid, kRequest, "invalid_value"}},
    {ErrorKind::kInvalidState, {400, "INVALID_STATE", kRequest, "invalid_state"}},
    {ErrorKind::kResourceDoesNotExist,
     {404, "RESOURCE_DOES_NOT_EXIST", "not_found_error", "not_found"}},
    {ErrorKind::kResourceAlreadyExists,
     {409, "RESOURCE_ALREADY_EXISTS", kRequest, "already_exists"}},
    {ErrorKind::kResourceConflict, {409, "RESOURCE_CONFLICT", kRequest, "conflict"}},
    {ErrorKind::kResourceLimitExceeded,
     {400, "RESOURCE_LIMIT_EXCEEDED", kRequest, "resource_limit_exceeded"}},
    {ErrorKind::kProviderRejected, {400, "BAD_REQUEST", kRequest, "invalid_request"}},
    {ErrorKind::kProviderContentFilter, {400, "BAD_REQUEST", kRequest, "content_filter"}},
    {ErrorKind::kProviderModelNotFound,
     {404, "RESOURCE_DOES_NOT_EXIST", kRequest, "model_not_found"}},
    {ErrorKind::kProviderQuotaExhausted,
     {429, "REQUEST_LIMIT_EXCEEDED", "insufficient_quota", "insufficient_quota"}},
    {ErrorKind::kProviderRateLimited,
     {429, "REQUEST_LIMIT_EXCEEDED", "rate_limit_error", "rate_limit_exceeded"}},
    {ErrorKind::kProviderAuthentication,
     {502, "INTERNAL_ERROR", "api_error", "provider_authentication_failed"}},
    {ErrorKind::kProviderError, {502, "INTERNAL_ERROR", "api_error", "provider_error"}},
    {ErrorKind::kProviderUnreachable, {502, "INTERNAL_ERROR", "api_error", "provider_unreachable"}},
    {ErrorKind::kProviderBadResponse,
     {502, "INTERNAL_ERROR", "api_error", "provider_bad_response"}},
    {ErrorKind::kProviderOverloaded,
     {503, kUnavailable, "overloaded_error", "provider_overloaded"}},
    {ErrorKind::kProviderTimeout, {504, "DEADLINE_EXCEEDED", "timeout_error", "provider_timeout"}},
    {ErrorKind::kBadModelFile, {400, kInvalid, kRequest, "bad_model_file"}},
    {ErrorKind::kUnsupportedModel, {400, kInvalid, kRequest, "unsupported_model"}},
    {ErrorKind::kBadConfiguration, {500, "INTERNAL_ERROR", "server_error", "bad_configuration"}},
    {ErrorKind::kIo, {500, "INTERNAL_ERROR", "server_error", "io_error"}},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < std::size(kCatalogue); ++i) {
    if (kCatalogue[i].kind != static_cast<ErrorKind>(i)) return false;
  }
  return std::size(kCatalogue) == static_cast<std::size_t>(ErrorKind::kIo) + 1;
}
static_assert(in_order(), "kCatalogue must list every ErrorKind in order");

}  // namespace

const ErrorWire& wire_form(ErrorKind kind) {
  return kCatalogue[static_cast<std::size_t>(kind)].wire;
}

void throw_exception_from_error(const Error& error, const boost::source_location&) { throw error; }

}  // namespace tessera
