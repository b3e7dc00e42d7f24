-- Why calls and verifications were refused. Written a moment later, in batches, and without foreign keys: a record outlives what
-- it tells of.

-- One row for identical denials of a minute on one node. Partitioned by day, UTC, as verifications are.
CREATE TABLE decisions (
    -- The first request.
    request_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    count bigint NOT NULL,
    -- NULL for a credential that nobody knows: such a record belongs to the operator.
    workspace_id text COLLATE "C",
    operation text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    -- The root key that was denied, or the one that asked for the key.
    root_key_id text COLLATE "C",
    key_id text COLLATE "C",
    external_id text COLLATE "C",
    -- All of it, without the columns before.
    record json NOT NULL,
    PRIMARY KEY (request_id, at)
) PARTITION BY RANGE (at);
CREATE INDEX decisions_workspace_id_idx ON decisions (workspace_id, at, request_id);
CREATE INDEX decisions_root_key_id_idx ON decisions (root_key_id, at, request_id) WHERE root_key_id IS NOT NULL;
CREATE INDEX decisions_key_id_idx ON decisions (key_id, at, request_id) WHERE key_id IS NOT NULL;
CREATE INDEX decisions_external_id_idx ON decisions (workspace_id, external_id, at, request_id) WHERE external_id IS NOT NULL;
CREATE TABLE decisions_default PARTITION OF decisions DEFAULT;

-- The other requests of a record, those that began in the same second together: a flood of denials costs a row a second and
-- record, not a row a request. `at` is that of the record: they are in the same partition, and go with it.
CREATE TABLE decision_requests (
    -- When the requests began, by their ids: seconds since 1970.
    second bigint NOT NULL,
    request_ids text[] NOT NULL CHECK (cardinality(request_ids) > 0),
    -- The first of them.
    first_request_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    decision_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (second, first_request_id, at)
) PARTITION BY RANGE (at);
-- Compressing what hardly compresses would cost more than writing it.
ALTER TABLE decision_requests ALTER COLUMN request_ids SET STORAGE EXTERNAL;
CREATE TABLE decision_requests_default PARTITION OF decision_requests DEFAULT;
