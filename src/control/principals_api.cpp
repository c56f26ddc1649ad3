// Who am I, tokens, and what a client asks before it knows anything (control-plane 5.1, 5.2, 5.5).
#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "control/bootstrap.h"
#include "control/services.h"

namespace tessera::control {
namespace {

using namespace catalog;
using asio::awaitable;
using http::Request;
using http::Response;

constexpr std::int64_t kDefaultLifetimeSeconds = 2 * 365 * 24 * 3600;
constexpr std::size_t kMaxTokensPerPrincipal = 600;

json::object token_json(const Token& token) {
  return {{"token_id", token.id},
          {"comment", token.comment},
          {"creation_time", token.creation_time_ms},
          {"expiry_time", token.expiry_time_ms}};
}

awaitable<Response> me(Services&, Request, Caller caller) {
  const Principal& p = *caller.principal;
  json::array groups;
  for (const std::string& group : p.groups) {
    groups.push_back(json::object{{"display", group}, {"value", group}, {"type", "direct"}});
  }
  const bool user = p.kind == Principal::Kind::kUser;
  json::object o;
  o["schemas"] = json::array{user ? "urn:ietf:params:scim:schemas:core:2.0:User"
                                  : "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"};
  o["id"] = std::to_string(p.id);
  o["userName"] = p.name;
  o["displayName"] = p.display_name;
  o["active"] = p.active;
  if (user && p.name.find('@') != std::string::npos) {
    o["emails"] = json::array{json::object{{"type", "work"}, {"value", p.name}, {"primary", true}}};
  }
  o["groups"] = std::move(groups);
  co_return answer(o);
}

awaitable<Response> create_token(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const auto lifetime = get_int_or_digits(body, "lifetime_seconds");
  if (lifetime) check_range(*lifetime, 1, 100LL * 365 * 24 * 3600, "lifetime_seconds");
  // A token with fewer rights than its owner would be a promise nobody keeps yet.
  if (const json::array* scopes = get_array(body, "scopes")) {
    for (const auto& scope : *scopes) {
      if (as_string(scope, "scopes") == "all-apis") continue;
      throw Error(ErrorKind::kInvalidParameterValue, "scopes: only 'all-apis' is supported yet.",
                  "scopes");
    }
  }
  Token token;
  const std::string text = new_token_text();
  token.id = sha256_hex(text);
  token.principal_id = caller.principal->id;
  token.comment = get_string(body, "comment").value_or("");
  check_length(utf8_length(token.comment), 0, 1024, "comment");
  token.creation_time_ms = now_ms();
  token.expiry_time_ms = token.creation_time_ms + lifetime.value_or(kDefaultLifetimeSeconds) * 1000;
  co_await s.thread.run([&] {
    if (s.table.tokens_of(token.principal_id).size() >= kMaxTokensPerPrincipal) {
      throw Error(ErrorKind::kResourceLimitExceeded,
                  "You have " + std::to_string(kMaxTokensPerPrincipal) +
                      " tokens, the most there can be. Delete one first.");
    }
    s.table.add_token(token);
  });
  co_return answer({{"token_value", text}, {"token_info", token_json(token)}});
}

awaitable<Response> list_tokens(Services& s, Request, Caller caller) {
  const std::vector<Token> tokens =
      co_await s.thread.run([&] { return s.table.tokens_of(caller.principal->id); });
  json::array infos;
  const std::int64_t now = now_ms();
  for (const Token& token : tokens) {
    if (!token.expired(now)) infos.push_back(token_json(token));
  }
  co_return answer({{"token_infos", std::move(infos)}});
}

awaitable<Response> delete_token(Services& s, Request request, Caller caller) {
  const std::string id = require_string(body_of(request), "token_id");
  const TokenEntry* entry = caller.snapshot->find_token(id);
  const bool own = entry && entry->token.principal_id == caller.principal->id;
  const bool removed =
      own ? co_await s.thread.run([&] { return s.table.remove_token(id); }) : false;
  if (!removed) {
    throw Error(ErrorKind::kResourceDoesNotExist,
                "Token with id " + quote_for_message(id) + " does not exist.", "token_id");
  }
  co_return answer({});
}

awaitable<Response> telemetry(Services&, Request request, Caller) {
  const json::object body = body_of(request);
  const json::array* logs = get_array(body, "protoLogs");
  co_return answer({{"errors", json::array()}, {"numProtoSuccess", logs ? logs->size() : 0}});
}

awaitable<Response> databricks_config(std::string host, std::string workspace_id) {
  co_return answer(
      {{"oidc_endpoint", host + "/oidc"},
       {"workspace_id", workspace_id},
       {"host_type", "WORKSPACE_HOST"},
       {"token_federation_default_oidc_audiences", json::array{host + "/oidc/v1/token"}}});
}

}  // namespace

void mount_principals_api(ApiRoutes& routes, Services& s) {
  routes.add("GET", "/api/2.0/preview/scim/v2/Me", with(s, me));
  routes.add("POST", "/api/2.0/token/create", with(s, create_token));
  routes.add("GET", "/api/2.0/token/list", with(s, list_tokens));
  routes.add("POST", "/api/2.0/token/delete", with(s, delete_token));
  routes.add("POST", "/telemetry-ext", with(s, telemetry));
}

void mount_discovery(http::Router& router, Services& s) {
  router.add("GET", "/.well-known/databricks-config",
             [&s](Request) { return databricks_config(s.options.host_url, s.workspace_id); });
}

}  // namespace tessera::control
