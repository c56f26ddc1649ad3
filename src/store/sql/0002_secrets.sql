-- Secrets (control-plane 3). Values are sealed with the server's key before they come here.

CREATE TABLE secret_scopes (
  name TEXT PRIMARY KEY,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);

CREATE TABLE secrets (
  scope TEXT NOT NULL REFERENCES secret_scopes (name) ON DELETE CASCADE,
  key TEXT NOT NULL,
  sealed TEXT NOT NULL,        -- base64
  last_updated BIGINT NOT NULL,
  PRIMARY KEY (scope, key)
);

CREATE TABLE secret_acls (
  scope TEXT NOT NULL REFERENCES secret_scopes (name) ON DELETE CASCADE,
  principal TEXT NOT NULL,     -- user, group or application id
  permission TEXT NOT NULL,    -- MANAGE, WRITE, READ
  PRIMARY KEY (scope, principal)
);
