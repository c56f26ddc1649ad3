#include "store/endpoint_store.h"

#include "base/error.h"
#include "store/endpoint_document.h"

namespace tessera::store {
namespace {

using namespace catalog;
using Grantee = AclEntry::Grantee;

std::string_view word(Grantee grantee) {
  switch (grantee) {
    case Grantee::kGroup:
      return "group";
    case Grantee::kServicePrincipal:
      return "service_principal";
    default:
      return "user";
  }
}

Grantee parse_grantee(std::string_view text) {
  if (text == "group") return Grantee::kGroup;
  if (text == "service_principal") return Grantee::kServicePrincipal;
  return Grantee::kUser;
}

Endpoint read_endpoint(const Statement& row) {
  Endpoint endpoint;
  endpoint.id = row.text(0);
  endpoint.name = row.text(1);
  endpoint.creator = row.text(2);
  endpoint.creator_display_name = row.text(3);
  endpoint.creator_kind = row.text(4) == to_string(Principal::Kind::kServicePrincipal)
                              ? Principal::Kind::kServicePrincipal
                              : Principal::Kind::kUser;
  endpoint.creation_timestamp_ms = row.integer(5);
  endpoint.last_updated_timestamp_ms = row.integer(6);
  endpoint.description = row.text(7);
  endpoint.preconfigured = row.integer(8) != 0;
  endpoint.task = parse_task(row.text(9));
  endpoint.config_update = parse_config_update(row.text(10)).value_or(ConfigUpdate::kNotUpdating);
  endpoint.suspended = row.integer(11) != 0;
  endpoint.last_config_version = static_cast<int>(row.integer(12));
  read_details(row.text(13), endpoint);
  return endpoint;
}

void save_config(Connection& connection, const std::string& endpoint_id, std::string_view slot,
                 const std::optional<EndpointConfig>& config) {
  if (!config) {
    connection.prepare("DELETE FROM endpoint_configs WHERE endpoint_id = $1 AND slot = $2")
        .bind(endpoint_id, slot)
        .run();
    return;
  }
  connection
      .prepare(
          "INSERT INTO endpoint_configs (endpoint_id, slot, config_version, start_time, document) "
          "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (endpoint_id, slot) DO UPDATE SET "
          "config_version = excluded.config_version, start_time = excluded.start_time, "
          "document = excluded.document")
      .bind(endpoint_id, slot, config->config_version, config->start_time_ms, write_config(*config))
      .run();
}

}  // namespace

std::vector<Endpoint> EndpointStore::load_all() {
  Database::Session session(database_);
  std::vector<Endpoint> endpoints;
  auto query = session->prepare(
      "SELECT id, name, creator, creator_display_name, creator_kind, creation_timestamp, "
      "last_updated_timestamp, description, preconfigured, task, config_update, suspended, "
      "last_config_version, details FROM endpoints ORDER BY name");
  while (query.step()) endpoints.push_back(read_endpoint(query));
  for (Endpoint& endpoint : endpoints) {
    auto configs = session->prepare(
        "SELECT slot, config_version, start_time, document FROM endpoint_configs "
        "WHERE endpoint_id = $1");
    configs.bind(endpoint.id);
    while (configs.step()) {
      EndpointConfig config = read_config(configs.text(3));
      config.config_version = static_cast<int>(configs.integer(1));
      config.start_time_ms = configs.integer(2);
      (configs.text(0) == "active" ? endpoint.active : endpoint.pending) = std::move(config);
    }
    auto acl = session->prepare(
        "SELECT grantee, name, level FROM endpoint_acl WHERE endpoint_id = $1 ORDER BY grantee, "
        "name");
    acl.bind(endpoint.id);
    while (acl.step()) {
      endpoint.acl.push_back(
          {parse_grantee(acl.text(0)), acl.text(1),
           parse_permission_level(acl.text(2)).value_or(PermissionLevel::kNone)});
    }
  }
  return endpoints;
}

void EndpointStore::save(const Endpoint& endpoint) {
  Database::Transaction transaction(database_);
  transaction
      ->prepare(
          "INSERT INTO endpoints (id, name, creator, creator_display_name, creator_kind, "
          "creation_timestamp, last_updated_timestamp, description, preconfigured, task, "
          "config_update, suspended, last_config_version, details) VALUES ($1, $2, $3, $4, $5, "
          "$6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (id) DO UPDATE SET "
          "last_updated_timestamp = excluded.last_updated_timestamp, "
          "description = excluded.description, task = excluded.task, "
          "config_update = excluded.config_update, suspended = excluded.suspended, "
          "last_config_version = excluded.last_config_version, details = excluded.details")
      .bind(endpoint.id, endpoint.name, endpoint.creator, endpoint.creator_display_name,
            to_string(endpoint.creator_kind), endpoint.creation_timestamp_ms,
            endpoint.last_updated_timestamp_ms, endpoint.description, endpoint.preconfigured,
            endpoint.task ? to_string(*endpoint.task) : std::string_view(),
            to_string(endpoint.config_update), endpoint.suspended, endpoint.last_config_version,
            write_details(endpoint))
      .run();
  Connection& connection = *transaction.operator->();
  save_config(connection, endpoint.id, "active", endpoint.active);
  save_config(connection, endpoint.id, "pending", endpoint.pending);
  transaction->prepare("DELETE FROM endpoint_acl WHERE endpoint_id = $1").bind(endpoint.id).run();
  for (const AclEntry& entry : endpoint.acl) {
    transaction->prepare("INSERT INTO endpoint_acl VALUES ($1, $2, $3, $4)")
        .bind(endpoint.id, word(entry.grantee), entry.name, to_string(entry.level))
        .run();
  }
  transaction.commit();
}

void EndpointStore::remove(std::string_view id) {
  Database::Session session(database_);
  session->prepare("DELETE FROM endpoints WHERE id = $1").bind(id).run();
}

}  // namespace tessera::store
