// Secrets API 2.0 (control-plane 3).
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "control/services.h"

namespace tessera::control {
namespace {

using namespace catalog;
using asio::awaitable;
using http::Request;
using http::Response;

constexpr std::size_t kMaxValueBytes = 128u << 10, kMaxSecretsPerScope = 1'000;

std::string query(const Request& request, const char* name) {
  const auto value = request.query_value(name);
  if (!value || value->empty()) throw_missing(name);
  return std::string(*value);
}

// The scope, when the caller has the permission.
SecretScope permitted(Services& s, const Caller& caller, const std::string& name,
                      SecretPermission wanted) {
  const auto scope = s.secrets.scope(name);
  if (!scope) {
    throw Error(ErrorKind::kResourceDoesNotExist,
                "Scope " + quote_for_message(name) + " does not exist.", "scope");
  }
  if (scope->permission_of(*caller.principal) < wanted) {
    throw Error(
        ErrorKind::kPermissionDenied,
        "You need " + std::string(to_string(wanted)) + " permission on scope '" + name + "'.",
        "scope");
  }
  return *scope;
}

awaitable<Response> create_scope(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  SecretScope scope;
  scope.name = require_string(body, "scope");
  validate_scope_name(scope.name, "scope");
  const std::string backend =
      to_lower(get_string(body, "scope_backend_type").value_or("DATABRICKS"));
  if (backend != "databricks") {
    throw Error(ErrorKind::kInvalidParameterValue,
                "scope_backend_type: received " + quote_for_message(backend) +
                    ", want DATABRICKS; foreign vaults are not supported.",
                "scope_backend_type");
  }
  const std::string manage =
      get_string(body, "initial_manage_principal").value_or(caller.principal->name);
  if (manage != kUsersGroup && manage != caller.principal->name) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "initial_manage_principal: received " + quote_for_message(manage) +
                    ", want 'users', or nothing for yourself.",
                "initial_manage_principal");
  }
  scope.acls = {{manage, SecretPermission::kManage}};
  scope.created_at_ms = now_ms();
  scope.created_by = caller.principal->name;
  co_await s.thread.run([&] {
    if (s.secrets.scope(scope.name)) {
      throw Error(ErrorKind::kResourceAlreadyExists, "Scope " + scope.name + " already exists.",
                  "scope");
    }
    s.secrets.add_scope(scope);
  });
  co_return answer({});
}

awaitable<Response> list_scopes(Services& s, Request, Caller caller) {
  const auto scopes = co_await s.thread.run([&] { return s.secrets.scopes(); });
  json::array list;
  for (const SecretScope& scope : scopes) {
    if (scope.permission_of(*caller.principal) < SecretPermission::kRead) continue;
    list.push_back(json::object{{"name", scope.name}, {"backend_type", "DATABRICKS"}});
  }
  co_return answer({{"scopes", std::move(list)}});
}

awaitable<Response> delete_scope(Services& s, Request request, Caller caller) {
  const std::string name = require_string(body_of(request), "scope");
  co_await s.thread.run([&] {
    permitted(s, caller, name, SecretPermission::kManage);
    s.secrets.remove_scope(name);
  });
  co_return answer({});
}

// The value, given in one of two ways.
std::string value_in(const json::object& body) {
  const auto text = get_string(body, "string_value");
  const auto bytes = get_string(body, "bytes_value");
  if (text.has_value() == bytes.has_value()) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "Send exactly one of string_value and bytes_value.", "string_value");
  }
  std::string value = text.value_or("");
  if (bytes) {
    const auto decoded = base64_decode(*bytes);
    if (!decoded) {
      throw Error(ErrorKind::kInvalidParameterValue, "bytes_value: want base64.", "bytes_value");
    }
    value = *decoded;
  }
  if (value.size() > kMaxValueBytes) {
    throw Error(ErrorKind::kResourceLimitExceeded, "The value has " + std::to_string(value.size()) +
                                                       " bytes, the limit is " +
                                                       std::to_string(kMaxValueBytes) + ".");
  }
  return value;
}

awaitable<Response> put_secret(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string scope = require_string(body, "scope"), key = require_string(body, "key");
  validate_secret_key(key, "key");
  const std::string value = value_in(body);
  co_await s.thread.run([&] {
    permitted(s, caller, scope, SecretPermission::kWrite);
    const auto secrets = s.secrets.secrets(scope);
    const bool known =
        std::any_of(secrets.begin(), secrets.end(), [&](const auto& m) { return m.key == key; });
    if (!known && secrets.size() >= kMaxSecretsPerScope) {
      throw Error(ErrorKind::kResourceLimitExceeded, "Scope '" + scope + "' holds " +
                                                         std::to_string(kMaxSecretsPerScope) +
                                                         " secrets, which is the limit.");
    }
    s.vault.put(scope, key, value, now_ms());
    s.table.refresh([&](Endpoint& endpoint) { return s.vault.open(endpoint); });
  });
  co_return answer({});
}

awaitable<Response> get_secret(Services& s, Request request, Caller caller) {
  const std::string scope = query(request, "scope"), key = query(request, "key");
  const std::string value = co_await s.thread.run([&] {
    permitted(s, caller, scope, SecretPermission::kRead);
    return s.vault.get(scope, key);
  });
  co_return answer({{"key", key}, {"value", base64_encode(value)}});
}

awaitable<Response> list_secrets(Services& s, Request request, Caller caller) {
  const std::string scope = query(request, "scope");
  const auto secrets = co_await s.thread.run([&] {
    permitted(s, caller, scope, SecretPermission::kRead);
    return s.secrets.secrets(scope);
  });
  json::array list;
  for (const SecretMetadata& secret : secrets) {
    list.push_back(
        json::object{{"key", secret.key}, {"last_updated_timestamp", secret.last_updated_ms}});
  }
  co_return answer({{"secrets", std::move(list)}});
}

awaitable<Response> delete_secret(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string scope = require_string(body, "scope"), key = require_string(body, "key");
  co_await s.thread.run([&] {
    permitted(s, caller, scope, SecretPermission::kWrite);
    if (s.secrets.remove(scope, key)) return;
    throw Error(ErrorKind::kResourceDoesNotExist,
                "Secret " + quote_for_message(key) + " does not exist in scope '" + scope + "'.",
                "key");
  });
  co_return answer({});
}

json::object acl_json(const SecretAcl& acl) {
  return {{"principal", acl.principal}, {"permission", to_string(acl.permission)}};
}

const SecretAcl& find_acl(const SecretScope& scope, const std::string& principal) {
  for (const SecretAcl& acl : scope.acls) {
    if (acl.principal == principal) return acl;
  }
  throw Error(ErrorKind::kResourceDoesNotExist,
              "Scope '" + scope.name + "' has no access list entry for " +
                  quote_for_message(principal) + ".",
              "principal");
}

awaitable<Response> put_acl(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string scope = require_string(body, "scope");
  const std::string principal = require_string(body, "principal");
  const std::string text = require_string(body, "permission");
  const auto permission = parse_secret_permission(text);
  if (!permission) {
    throw Error(ErrorKind::kInvalidParameterValue,
                "permission: received " + quote_for_message(text) + ", want MANAGE, WRITE or READ.",
                "permission");
  }
  co_await s.thread.run([&] {
    permitted(s, caller, scope, SecretPermission::kManage);
    if (!s.table.find_principal(principal) && !s.table.has_group(principal)) {
      throw Error(
          ErrorKind::kResourceDoesNotExist,
          "No user, service principal or group is named " + quote_for_message(principal) + ".",
          "principal");
    }
    s.secrets.put_acl(scope, {principal, *permission});
  });
  co_return answer({});
}

awaitable<Response> get_acl(Services& s, Request request, Caller caller) {
  const std::string scope = query(request, "scope"), principal = query(request, "principal");
  const SecretAcl acl = co_await s.thread.run(
      [&] { return find_acl(permitted(s, caller, scope, SecretPermission::kManage), principal); });
  co_return answer(acl_json(acl));
}

awaitable<Response> list_acls(Services& s, Request request, Caller caller) {
  const std::string name = query(request, "scope");
  const SecretScope scope =
      co_await s.thread.run([&] { return permitted(s, caller, name, SecretPermission::kManage); });
  json::array items;
  for (const SecretAcl& acl : scope.acls) items.push_back(acl_json(acl));
  co_return answer({{"items", std::move(items)}});
}

awaitable<Response> delete_acl(Services& s, Request request, Caller caller) {
  const json::object body = body_of(request);
  const std::string scope = require_string(body, "scope");
  const std::string principal = require_string(body, "principal");
  co_await s.thread.run([&] {
    find_acl(permitted(s, caller, scope, SecretPermission::kManage), principal);
    s.secrets.remove_acl(scope, principal);
  });
  co_return answer({});
}

}  // namespace

void mount_secrets_api(ApiRoutes& routes, Services& services) {
  struct Row {
    const char *method, *path;
    ServiceHandler handler;
  };
  static constexpr Row kRows[] = {
      {"POST", "scopes/create", create_scope},
      {"GET", "scopes/list", list_scopes},
      {"POST", "scopes/delete", delete_scope},
      {"POST", "put", put_secret},
      {"GET", "get", get_secret},
      {"GET", "list", list_secrets},
      {"POST", "delete", delete_secret},
      {"POST", "acls/put", put_acl},
      {"GET", "acls/get", get_acl},
      {"GET", "acls/list", list_acls},
      {"POST", "acls/delete", delete_acl},
  };
  for (const Row& row : kRows) {
    routes.add(row.method, std::string("/api/2.0/secrets/") + row.path,
               with(services, row.handler));
  }
}

}  // namespace tessera::control
