#include "control/caller.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera::control {
namespace {

using namespace catalog;

std::string token_of(const http::Request& request) {
  const std::string_view header = request.headers.get("authorization").value_or("");
  const std::size_t blank = header.find(' ');
  const std::string_view scheme = header.substr(0, blank);
  const std::string_view rest =
      blank == std::string_view::npos ? std::string_view() : trim(header.substr(blank + 1));
  if (header.empty()) {
    throw Error(ErrorKind::kUnauthenticated,
                "Credentials are missing. Send the header 'Authorization: Bearer <token>'.");
  }
  if (iequals(scheme, "bearer") && !rest.empty()) return std::string(rest);
  if (iequals(scheme, "basic")) {
    const std::string pair = base64_decode(rest).value_or("");
    if (pair.starts_with("token:")) return pair.substr(6);
  }
  throw Error(ErrorKind::kBadToken,
              "The Authorization header is not understood. Send 'Authorization: Bearer <token>'.");
}

asio::awaitable<http::Response> serve(const SnapshotHolder& holder, const ApiHandler& handler,
                                      const std::string& workspace_id, http::Request request) {
  Caller caller = authenticate(request, holder);
  http::Response response = co_await handler(std::move(request), std::move(caller));
  response.headers.set("X-Databricks-Org-Id", workspace_id);
  co_return response;
}

}  // namespace

Caller authenticate(const http::Request& request, const SnapshotHolder& holder) {
  Caller caller{holder.get(), nullptr};
  caller.principal = caller.snapshot->authenticate(sha256_hex(token_of(request)), now_ms());
  if (!caller.principal) {
    throw Error(ErrorKind::kBadToken, "The access token is invalid, expired or revoked.");
  }
  return caller;
}

const Endpoint& Caller::endpoint(std::string_view name, PermissionLevel wanted) const {
  const Endpoint* endpoint = snapshot->find_endpoint(name);
  if (!endpoint) {
    throw Error(ErrorKind::kEndpointNotFound,
                "Endpoint with name '" + std::string(name) + "' does not exist.");
  }
  require_level(endpoint->level_of(*principal), wanted, name);
  return *endpoint;
}

void Caller::require_admin(std::string_view what) const {
  if (principal->is_admin()) return;
  throw Error(ErrorKind::kPermissionDenied,
              "Only members of the group 'admins' may " + std::string(what) + ".");
}

void ApiRoutes::add(std::string_view method, std::string_view pattern, ApiHandler handler) {
  // Not a coroutine itself: what it captures outlives the coroutine it returns, in the router.
  router_.add(method, pattern,
              [&holder = holder_, handler = std::move(handler),
               workspace_id = workspace_id_](http::Request request) {
                return serve(holder, handler, workspace_id, std::move(request));
              });
}

const std::string& param(const http::Request& request, std::string_view name) {
  return request.params.find(name)->second;
}

}  // namespace tessera::control
