// Who calls, and how every route of the control plane is mounted.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "catalog/snapshot.h"
#include "http/router.h"

namespace tessera::control {

namespace asio = boost::asio;

// The snapshot is kept as long as the caller, so that `principal` and endpoints stay valid.
struct Caller {
  std::shared_ptr<const catalog::Snapshot> snapshot;
  const catalog::Principal* principal = nullptr;

  // Throws Error(kEndpointNotFound | kPermissionDenied).
  const catalog::Endpoint& endpoint(std::string_view name, catalog::PermissionLevel wanted) const;
  void require_admin(std::string_view what) const;  // "register a model version"
};

using ApiHandler = std::function<asio::awaitable<http::Response>(http::Request, Caller)>;

// Mounts handlers behind authentication: Bearer, or Basic with the user name "token" and the token
// as password. Answers carry X-Databricks-Org-Id.
class ApiRoutes {
 public:
  ApiRoutes(http::Router& router, const catalog::SnapshotHolder& holder, std::string workspace_id)
      : router_(router), holder_(holder), workspace_id_(std::move(workspace_id)) {}

  void add(std::string_view method, std::string_view pattern, ApiHandler handler);

 private:
  http::Router& router_;
  const catalog::SnapshotHolder& holder_;
  std::string workspace_id_;
};

// Throws Error(kUnauthenticated) without credentials, Error(kBadToken) with bad ones.
Caller authenticate(const http::Request& request, const catalog::SnapshotHolder& holder);

// A {name} part of the route; the router has matched it.
const std::string& param(const http::Request& request, std::string_view name);

}  // namespace tessera::control
