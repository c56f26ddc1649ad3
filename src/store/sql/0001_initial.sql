-- Written in the SQL that SQLite and PostgreSQL share. Times are epoch milliseconds.

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE principals (
  id BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,          -- User, ServicePrincipal
  name TEXT NOT NULL UNIQUE,   -- user name or application id
  display_name TEXT NOT NULL,
  active INTEGER NOT NULL
);

CREATE TABLE group_members (
  group_name TEXT NOT NULL,
  principal_id BIGINT NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
  PRIMARY KEY (group_name, principal_id)
);

-- The text of a token is never stored; id is its SHA-256.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  principal_id BIGINT NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
  comment TEXT NOT NULL,
  creation_time BIGINT NOT NULL,
  expiry_time BIGINT NOT NULL  -- -1: never
);

CREATE TABLE endpoints (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  creator TEXT NOT NULL,
  creator_display_name TEXT NOT NULL,
  creator_kind TEXT NOT NULL,
  creation_timestamp BIGINT NOT NULL,
  last_updated_timestamp BIGINT NOT NULL,
  description TEXT NOT NULL,
  preconfigured INTEGER NOT NULL,
  task TEXT NOT NULL,          -- empty: not known
  config_update TEXT NOT NULL,
  suspended INTEGER NOT NULL,
  last_config_version BIGINT NOT NULL,
  details TEXT NOT NULL        -- JSON: tags, notifications, ai_gateway, own settings
);

CREATE TABLE endpoint_acl (
  endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
  grantee TEXT NOT NULL,       -- user, group, service_principal
  name TEXT NOT NULL,
  level TEXT NOT NULL,
  PRIMARY KEY (endpoint_id, grantee, name)
);

-- A config is replaced as a whole, never in part, so it is kept as one document.
CREATE TABLE endpoint_configs (
  endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
  slot TEXT NOT NULL,          -- active, pending
  config_version BIGINT NOT NULL,
  start_time BIGINT NOT NULL,
  document TEXT NOT NULL,      -- JSON: served entities and routes
  PRIMARY KEY (endpoint_id, slot)
);

CREATE TABLE catalogs (
  name TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  comment TEXT NOT NULL,
  owner TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL
);

CREATE TABLE schemas (
  catalog_name TEXT NOT NULL REFERENCES catalogs (name) ON DELETE CASCADE ON UPDATE CASCADE,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  comment TEXT NOT NULL,
  owner TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL,
  PRIMARY KEY (catalog_name, name)
);

CREATE TABLE registered_models (
  catalog_name TEXT NOT NULL,
  schema_name TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  comment TEXT NOT NULL,
  owner TEXT NOT NULL,
  storage_location TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL,
  next_version BIGINT NOT NULL,  -- version numbers are never used twice
  notes TEXT NOT NULL,           -- JSON: display name, notes, licence
  PRIMARY KEY (catalog_name, schema_name, name),
  FOREIGN KEY (catalog_name, schema_name) REFERENCES schemas (catalog_name, name)
    ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE model_versions (
  catalog_name TEXT NOT NULL,
  schema_name TEXT NOT NULL,
  model_name TEXT NOT NULL,
  version BIGINT NOT NULL,
  id TEXT NOT NULL,
  source TEXT NOT NULL,
  storage_location TEXT NOT NULL,
  status TEXT NOT NULL,
  run_id TEXT NOT NULL,
  comment TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL,
  PRIMARY KEY (catalog_name, schema_name, model_name, version),
  FOREIGN KEY (catalog_name, schema_name, model_name)
    REFERENCES registered_models (catalog_name, schema_name, name)
    ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE model_aliases (
  catalog_name TEXT NOT NULL,
  schema_name TEXT NOT NULL,
  model_name TEXT NOT NULL,
  alias_name TEXT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (catalog_name, schema_name, model_name, alias_name),
  FOREIGN KEY (catalog_name, schema_name, model_name, version)
    REFERENCES model_versions (catalog_name, schema_name, model_name, version)
    ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE usage (
  request_id TEXT NOT NULL,
  client_request_id TEXT NOT NULL,
  request_time BIGINT NOT NULL,
  requester TEXT NOT NULL,
  endpoint_id TEXT NOT NULL,
  endpoint_name TEXT NOT NULL,
  served_entity_id TEXT NOT NULL,
  served_entity_name TEXT NOT NULL,
  entity_name TEXT NOT NULL,
  entity_version TEXT NOT NULL,
  api_type TEXT NOT NULL,
  status_code INTEGER NOT NULL,
  request_streaming INTEGER NOT NULL,
  input_token_count BIGINT NOT NULL,
  output_token_count BIGINT NOT NULL,
  cached_token_count BIGINT NOT NULL,
  input_character_count BIGINT NOT NULL,
  output_character_count BIGINT NOT NULL,
  latency_ms BIGINT NOT NULL,
  time_to_first_byte_ms BIGINT NOT NULL,
  queue_ms BIGINT NOT NULL,
  estimated INTEGER NOT NULL,
  finish_reason TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  peer_ip TEXT NOT NULL,
  usage_context TEXT NOT NULL    -- JSON object of strings
);
CREATE INDEX usage_by_time ON usage (request_time);
CREATE INDEX usage_by_endpoint ON usage (endpoint_name, request_time);
