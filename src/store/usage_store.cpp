#include "store/usage_store.h"

#include "base/json.h"

namespace tessera::store {

using catalog::UsageRecord;

namespace {

std::string context_json(const UsageRecord& record) {
  json::object context;
  for (const auto& [key, value] : record.usage_context) context[key] = value;
  return to_json(context);
}

}  // namespace

void UsageStore::append(std::span<const UsageRecord> records) {
  Database::Transaction transaction(database_);
  Statement insert = transaction->prepare(
      "INSERT INTO usage VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
      "$14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)");
  for (const UsageRecord& r : records) {
    const std::string context = r.usage_context.empty() ? "{}" : context_json(r);
    insert
        .bind_borrowed(r.request_id, r.client_request_id, r.request_time_ms, r.requester,
                       r.endpoint_id, r.endpoint_name, r.served_entity_id, r.served_entity_name,
                       r.entity_name, r.entity_version, r.api_type, r.status_code, r.streaming,
                       r.input_tokens, r.output_tokens, r.cached_tokens, r.input_characters,
                       r.output_characters, r.latency_ms, r.time_to_first_byte_ms, r.queue_ms,
                       r.estimated, r.finish_reason, r.user_agent, r.peer_ip,
                       std::string_view(context))
        .run();
    insert.reset();
  }
  transaction.commit();
}

std::vector<UsageRecord> UsageStore::recent(std::string_view endpoint_name, int limit) {
  Database::Session session(database_);
  std::vector<UsageRecord> records;
  auto query = session->prepare(
      "SELECT request_id, client_request_id, request_time, requester, endpoint_id, endpoint_name, "
      "served_entity_id, served_entity_name, entity_name, entity_version, api_type, status_code, "
      "request_streaming, input_token_count, output_token_count, cached_token_count, "
      "input_character_count, output_character_count, latency_ms, time_to_first_byte_ms, queue_ms, "
      "estimated, finish_reason, user_agent, peer_ip, usage_context FROM usage "
      "WHERE $1 = '' OR endpoint_name = $1 ORDER BY request_time DESC LIMIT $2");
  query.bind(endpoint_name, limit);
  while (query.step()) {
    UsageRecord& r = records.emplace_back();
    int column = 0;
    for (std::string* text : {&r.request_id, &r.client_request_id}) *text = query.text(column++);
    r.request_time_ms = query.integer(column++);
    for (std::string* text :
         {&r.requester, &r.endpoint_id, &r.endpoint_name, &r.served_entity_id,
          &r.served_entity_name, &r.entity_name, &r.entity_version, &r.api_type}) {
      *text = query.text(column++);
    }
    r.status_code = static_cast<int>(query.integer(column++));
    r.streaming = query.integer(column++) != 0;
    for (std::int64_t* number :
         {&r.input_tokens, &r.output_tokens, &r.cached_tokens, &r.input_characters,
          &r.output_characters, &r.latency_ms, &r.time_to_first_byte_ms, &r.queue_ms}) {
      *number = query.integer(column++);
    }
    r.estimated = query.integer(column++) != 0;
    for (std::string* text : {&r.finish_reason, &r.user_agent, &r.peer_ip}) {
      *text = query.text(column++);
    }
    for (const auto& [key, value] : parse_json_object(query.text(column))) {
      r.usage_context[key] = as_string(value, key);
    }
  }
  return records;
}

std::int64_t UsageStore::remove_before(std::int64_t time_ms) {
  Database::Session session(database_);
  session->prepare("DELETE FROM usage WHERE request_time < $1").bind(time_ms).run();
  return session->changes();
}

}  // namespace tessera::store
