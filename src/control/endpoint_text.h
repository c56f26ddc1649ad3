// The two routes of an endpoint that answer with a document of their own (control-plane 1.10, 9).
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "catalog/endpoint.h"
#include "control/supervisor.h"
#include "control/traffic_stats.h"

namespace tessera::control {

// Prometheus text 0.0.4, values of the last minute with their time; OpenMetrics adds "# EOF".
std::string metrics_text(const catalog::Endpoint& endpoint, const TrafficStats& traffic,
                         const Supervisor& supervisor, bool open_metrics, std::int64_t now_ms);

// OpenAPI 3.1. Throws Error(kInvalidState) for an endpoint that is not READY.
boost::json::object openapi_document(const catalog::Endpoint& endpoint,
                                     const std::string& host_url);

}  // namespace tessera::control
