// Who this server is for AWS when an endpoint gives no keys of its own: the chain that the AWS SDKs
// use (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html): environment
// keys, web identity, container credentials, instance metadata (IMDSv2).
#pragma once

#include "gateway/token_cache.h"
#include "http/client.h"

namespace tessera::gateway {

// The only code that calls metadata addresses; nothing a user gives leads here. `region` is the
// endpoint's, for the STS of web identities. Throws Error(kProviderAuthentication) when there is no
// identity.
asio::awaitable<Minted> fetch_ambient_identity(http::Client& client, std::string region);

}  // namespace tessera::gateway
