// One row per request (data-plane 6.4), written by the gateway's meter through a function that
// app hands in.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tessera::catalog {

struct UsageRecord {
  std::string request_id;         // equals x-request-id
  std::string client_request_id;  // from the body; empty: none
  std::int64_t request_time_ms = 0;
  std::string requester;
  std::string endpoint_name, endpoint_id;
  std::string served_entity_id, served_entity_name;  // empty when refused before routing
  std::string entity_name, entity_version;
  std::string api_type;  // "llm/v1/chat", …
  int status_code = 0;   // 499 when the client left
  bool streaming = false;
  std::int64_t input_tokens = 0, output_tokens = 0, cached_tokens = 0;
  std::int64_t input_characters = 0, output_characters = 0;
  std::int64_t latency_ms = 0, time_to_first_byte_ms = 0, queue_ms = 0;
  bool estimated = false;  // tokens estimated by us, not reported by the upstream
  std::string finish_reason;
  std::string user_agent, peer_ip;
  std::map<std::string, std::string> usage_context;
};

}  // namespace tessera::catalog
