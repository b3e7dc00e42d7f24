-- What is counted: credits of keys, rate limits of keys, identities and namespaces.

-- One row for each limited key; a key without a row is unlimited. Apart from `keys`, because these rows are rewritten by
-- every spend: narrow, unindexed but for their key, and half empty pages, so that a new version stays on its page.
CREATE TABLE credits (
    key_id text COLLATE "C" PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    remaining bigint NOT NULL CHECK (remaining >= 0),
    -- A refill sets the balance to this if it is lower; NULL is no refill.
    refill_amount bigint CHECK (refill_amount >= 1),
    -- Day of the month of a monthly refill; NULL with an amount is daily.
    refill_day integer CHECK (refill_day BETWEEN 1 AND 31),
    -- Refills that fell due until then are in the balance.
    refilled_at timestamptz NOT NULL,
    CHECK (refill_day IS NULL OR refill_amount IS NOT NULL)
) WITH (fillfactor = 50);
CREATE INDEX credits_workspace_id_idx ON credits (workspace_id);

-- Rate limits of a key or of an identity, by name.
CREATE TABLE rate_limits (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    key_id text COLLATE "C" REFERENCES keys (id) ON DELETE CASCADE,
    identity_id text COLLATE "C" REFERENCES identities (id) ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 3 AND 128),
    "limit" bigint NOT NULL CHECK ("limit" >= 1),
    duration_ms bigint NOT NULL CHECK (duration_ms >= 1000),
    auto_apply boolean NOT NULL,
    CHECK (num_nonnulls(key_id, identity_id) = 1)
);
CREATE UNIQUE INDEX rate_limits_key_id_name_key ON rate_limits (key_id, name) WHERE key_id IS NOT NULL;
CREATE UNIQUE INDEX rate_limits_identity_id_name_key ON rate_limits (identity_id, name) WHERE identity_id IS NOT NULL;
CREATE INDEX rate_limits_workspace_id_idx ON rate_limits (workspace_id);

-- Names of deleted namespaces stay taken.
CREATE TABLE namespaces (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 512),
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT namespaces_workspace_id_name_key UNIQUE (workspace_id, name)
);
CREATE INDEX namespaces_workspace_id_idx ON namespaces (workspace_id, id);

CREATE TABLE overrides (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    namespace_id text COLLATE "C" NOT NULL REFERENCES namespaces (id),
    -- An identifier, or with `*` in it a pattern of identifiers.
    identifier text COLLATE "C" NOT NULL CHECK (char_length(identifier) BETWEEN 1 AND 512),
    -- 0 blocks.
    "limit" bigint NOT NULL CHECK ("limit" >= 0),
    duration_ms bigint NOT NULL CHECK (duration_ms >= 1000),
    created_at timestamptz NOT NULL,
    updated_at timestamptz,
    CONSTRAINT overrides_namespace_id_identifier_key UNIQUE (namespace_id, identifier)
);
CREATE INDEX overrides_namespace_id_idx ON overrides (namespace_id, id);
CREATE INDEX overrides_patterns_idx ON overrides (namespace_id) WHERE identifier LIKE '%*%';
CREATE INDEX overrides_workspace_id_idx ON overrides (workspace_id);

-- Windows of the limiter in memory, written every second so that a restart forgets none. They belong to no workspace by
-- name: `counter` is a digest of workspace, limit, subject and duration. A row is worthless two durations after its window.
CREATE TABLE counters (
    counter bytea PRIMARY KEY CHECK (octet_length(counter) = 32),
    duration_ms bigint NOT NULL,
    -- floor(Unix milliseconds / duration_ms)
    sequence bigint NOT NULL,
    current bigint NOT NULL CHECK (current >= 0),
    previous bigint NOT NULL CHECK (previous >= 0),
    worthless_at timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX counters_worthless_at_idx ON counters (worthless_at);

-- Servers on this database that live, or did a moment ago, by the database's clock.
CREATE TABLE nodes (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    -- Where it counts rate limits: `memory` or `redis`.
    limiter text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
);
