// The parts of an endpoint that are kept as JSON text. Unknown members are ignored when read,
// absent ones take their default, so older and newer documents stay readable.
#pragma once

#include <string>
#include <string_view>

#include "catalog/endpoint.h"

namespace tessera::store {

std::string write_config(const catalog::EndpointConfig& config);
// Entities and traffic; sockets are a matter of the running process and not kept. Throws
// Error(kBadConfiguration) for a document we did not write.
catalog::EndpointConfig read_config(std::string_view document);

std::string write_details(const catalog::Endpoint& endpoint);
void read_details(std::string_view document, catalog::Endpoint& endpoint);

}  // namespace tessera::store
