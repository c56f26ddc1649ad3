#include "gateway/present.h"

#include "api/messages.h"
#include "http/sse.h"

namespace tessera::gateway {

api::ErrorStyle error_style(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  return path.ends_with("/invocations") ? api::ErrorStyle::kDatabricks : api::ErrorStyle::kOpenAi;
}

bool is_messages_route(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  return path.ends_with("/v1/messages") || path.ends_with("/v1/messages/count_tokens");
}

http::Response present_error(const Error& error, const http::Request& request) {
  http::Response response =
      http::Response::json(is_messages_route(request.path)
                               ? api::messages_error_json(error, request.id)
                               : api::error_json(error, error_style(request.path), request.id),
                           http_status(error.kind));
  for (auto& [name, value] : api::retry_headers(error)) response.headers.set(name, value);
  if (response.status == 401) response.headers.set("www-authenticate", "Bearer");
  return response;
}

std::string present_stream_error(const Error& error, const http::Request& request) {
  if (is_messages_route(request.path)) {
    return "event: error\n" + http::sse_data(api::messages_error_json(error, request.id));
  }
  return http::sse_data(api::stream_error_json(error));
}

}  // namespace tessera::gateway
