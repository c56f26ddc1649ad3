// TLS contexts of the server and of the client (TLS 1.2 and newer).
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

#include "http/server.h"

namespace tessera::http {

// Throws Error(kBadConfiguration) naming the file that cannot be used.
asio::ssl::context make_server_tls(const TlsFiles& files);
// Verifies the peer against the system's authorities and, when given, those of a PEM file.
asio::ssl::context make_client_tls(const std::string& ca_file);

}  // namespace tessera::http
