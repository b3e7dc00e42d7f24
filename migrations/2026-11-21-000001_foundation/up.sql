-- Ids are compared and ordered as bytes: they are time ordered, and a page must not depend on the machine's locale.

CREATE TABLE workspaces (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL CONSTRAINT workspaces_name_key UNIQUE CHECK (char_length(name) BETWEEN 1 AND 255),
    enabled boolean NOT NULL,
    -- Requests per minute of each root key; NULL is unlimited, 0 refuses all.
    requests_per_minute integer CHECK (requests_per_minute >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz
);

CREATE TABLE root_keys (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    -- SHA-256 of the whole key. Over all workspaces: a root key names its workspace, not the other way round.
    hash bytea NOT NULL CONSTRAINT root_keys_hash_key UNIQUE CHECK (octet_length(hash) = 32),
    start text NOT NULL,
    -- The last four characters, to recognise a key by.
    last_characters text NOT NULL,
    name text CHECK (char_length(name) BETWEEN 1 AND 255),
    enabled boolean NOT NULL,
    permissions text[] NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz,
    last_used_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX root_keys_workspace_id_idx ON root_keys (workspace_id, id);

CREATE TABLE apis (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name text NOT NULL CHECK (char_length(name) BETWEEN 3 AND 256),
    default_prefix text CHECK (char_length(default_prefix) BETWEEN 1 AND 16),
    default_bytes integer CHECK (default_bytes BETWEEN 16 AND 255),
    -- Keys may be stored sealed, so that they can be shown again.
    recoverable boolean NOT NULL,
    delete_protection boolean NOT NULL,
    -- Addresses and CIDR ranges; empty allows all.
    ip_whitelist text[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX apis_workspace_id_idx ON apis (workspace_id, id);

CREATE TABLE keys (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    api_id text COLLATE "C" NOT NULL REFERENCES apis (id),
    -- SHA-256 of the whole key. Unique in its workspace only: nobody can learn of, or squat on, another one's.
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    start text NOT NULL,
    prefix text,
    byte_length integer,
    name text CHECK (char_length(name) BETWEEN 1 AND 255),
    -- json, not jsonb: numbers and escapes come back exactly as they were sent.
    meta json,
    enabled boolean NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz,
    last_used_at timestamptz,
    deleted_at timestamptz,
    CONSTRAINT keys_workspace_id_hash_key UNIQUE (workspace_id, hash)
);
CREATE INDEX keys_api_id_idx ON keys (api_id, id) WHERE deleted_at IS NULL;

-- Recoverable keys, sealed with AES-256-GCM under a master key that is never in the database.
CREATE TABLE sealed_keys (
    key_id text COLLATE "C" PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    master_key_id text NOT NULL,
    nonce bytea NOT NULL CHECK (octet_length(nonce) = 12),
    ciphertext bytea NOT NULL
);
CREATE INDEX sealed_keys_workspace_id_idx ON sealed_keys (workspace_id);
CREATE INDEX sealed_keys_master_key_id_idx ON sealed_keys (master_key_id);

-- One row for each thing that a mutation did, written in the mutation's own transaction.
CREATE TABLE audit_log (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    at timestamptz NOT NULL,
    event text NOT NULL,
    actor_type text NOT NULL,
    actor_id text NOT NULL,
    actor_name text NOT NULL,
    display text NOT NULL,
    address text,
    user_agent text,
    -- Shared by all rows of one request: its request id.
    correlation_id text NOT NULL,
    -- [{"type", "id", "name"}]
    resources jsonb NOT NULL
);
CREATE INDEX audit_log_workspace_id_idx ON audit_log (workspace_id, id);
CREATE INDEX audit_log_correlation_id_idx ON audit_log (correlation_id);
