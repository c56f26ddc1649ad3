// The parts that the APIs of the control plane work on; owned by Control, alive as long as the
// router's handlers.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "catalog/snapshot.h"
#include "control/caller.h"
#include "control/control_thread.h"
#include "control/endpoint_table.h"
#include "control/options.h"
#include "control/secret_vault.h"
#include "control/supervisor.h"
#include "control/traffic_stats.h"
#include "store/model_store.h"

namespace tessera::control {

struct Services {
  const Options& options;
  ControlThread& thread;
  EndpointTable& table;       // on the control thread
  store::ModelStore& models;  // on the control thread
  Supervisor& supervisor;
  TrafficStats& traffic;
  std::string workspace_id;
  store::SecretStore& secrets;  // on the control thread
  SecretVault& vault;           // on the control thread
};

using ServiceHandler = asio::awaitable<http::Response> (*)(Services&, http::Request, Caller);

inline ApiHandler with(Services& services, ServiceHandler handler) {
  return [&services, handler](http::Request request, Caller caller) {
    return handler(services, std::move(request), std::move(caller));
  };
}

// An empty body is an empty object: some SDKs send PATCH that way.
boost::json::object body_of(const http::Request& request);
http::Response answer(const boost::json::object& object);

void mount_endpoints_api(ApiRoutes& routes, Services& services);
void mount_external_models_api(ApiRoutes& routes, Services& services);
void mount_models_api(ApiRoutes& routes, Services& services);
void mount_permissions_api(ApiRoutes& routes, Services& services);
void mount_principals_api(ApiRoutes& routes, Services& services);
void mount_secrets_api(ApiRoutes& routes, Services& services);
// The routes that need no credentials.
void mount_discovery(http::Router& router, Services& services);

}  // namespace tessera::control
