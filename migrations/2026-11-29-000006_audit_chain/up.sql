-- The audit log is sealed: a moment after they were written, rows get their place in the chain of their workspace and the
-- hash that binds them to the row before. docs/audit.md says how it is made.
ALTER TABLE audit_log
    -- From 1 on in each workspace, without gaps. NULL until the row is sealed.
    ADD COLUMN sequence bigint CHECK (sequence > 0),
    -- SHA-256 of the hash before and of this row.
    ADD COLUMN hash bytea CHECK (octet_length(hash) = 32),
    -- [{"field", "from", "resource", "to"}], as they are hashed; NULL where no field was changed that decides on anything.
    ADD COLUMN changes json,
    ADD CONSTRAINT audit_log_sealed_check CHECK ((sequence IS NULL) = (hash IS NULL)),
    -- A chain cannot fork.
    ADD CONSTRAINT audit_log_workspace_id_sequence_key UNIQUE (workspace_id, sequence);

-- What waits to be sealed: empty most of the time, so that looking costs nothing.
CREATE INDEX audit_log_unsealed_idx ON audit_log (id) WHERE sequence IS NULL;
-- What readers filter by, each in the order of the chain.
CREATE INDEX audit_log_event_idx ON audit_log (workspace_id, event, sequence);
CREATE INDEX audit_log_actor_id_idx ON audit_log (workspace_id, actor_id, sequence);
CREATE INDEX audit_log_at_idx ON audit_log (workspace_id, at);
CREATE INDEX audit_log_resources_idx ON audit_log USING gin (resources jsonb_path_ops);
-- The order of a workspace's rows is their sequence now.
DROP INDEX audit_log_workspace_id_idx;

-- The last sealed row of each workspace.
CREATE TABLE audit_heads (
    workspace_id text COLLATE "C" PRIMARY KEY REFERENCES workspaces (id),
    sequence bigint NOT NULL CHECK (sequence > 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    sealed_at timestamptz NOT NULL
);
