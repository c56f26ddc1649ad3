// Who sends this request? (data-plane 1.4)
#pragma once

#include <cstdint>

#include "catalog/snapshot.h"
#include "http/message.h"

namespace tessera::gateway {

// "Bearer TOKEN", or "Basic base64(token:TOKEN)" as scripts still send it; without it x-api-key,
// api-key or x-goog-api-key, where SDKs of other providers put their key. The principal lives as
// long as the snapshot. Throws Error(kUnauthenticated) without credentials and Error(kBadToken) for
// a token that is unknown, revoked or expired.
const catalog::Principal& authenticate(const http::Headers& headers,
                                       const catalog::Snapshot& snapshot, std::int64_t now_ms);

}  // namespace tessera::gateway
