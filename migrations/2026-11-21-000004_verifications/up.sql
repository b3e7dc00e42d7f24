-- What was verified: one row for each verification of a known key, and sums of these rows by hour and by day. No foreign keys
-- here: each event would pay for them, they are written a moment later, and the numbers of what was deleted stay.

-- Partitioned by day, UTC. The servers make partitions ahead of time and drop them when their days are over.
CREATE TABLE verifications (
    at timestamptz NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    api_id text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    identity_id text COLLATE "C",
    external_id text COLLATE "C",
    outcome text COLLATE "C" NOT NULL,
    -- As they were sent.
    tags text[] NOT NULL,
    -- Taken from the balance of a limited key; only a VALID verification takes any.
    credits_spent bigint NOT NULL,
    request_id text COLLATE "C" NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX verifications_workspace_id_idx ON verifications (workspace_id, at);

-- For days that have no partition: what came late, or from a clock that is wrong. No event is refused for its time.
CREATE TABLE verifications_default PARTITION OF verifications DEFAULT;

-- `series` is a digest of all that a row is about but its time: tags are too long for a key. Half of these rows are rewritten
-- every second, hence the room on their pages.
CREATE TABLE usage_hourly (
    workspace_id text COLLATE "C" NOT NULL,
    -- Start of the hour, UTC.
    at timestamptz NOT NULL,
    series bytea NOT NULL CHECK (octet_length(series) = 32),
    api_id text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    external_id text COLLATE "C",
    outcome text COLLATE "C" NOT NULL,
    -- Sorted, each once.
    tags text[] NOT NULL,
    count bigint NOT NULL,
    credits_spent bigint NOT NULL,
    PRIMARY KEY (workspace_id, at, series)
) WITH (fillfactor = 70);
CREATE INDEX usage_hourly_key_id_idx ON usage_hourly (key_id, at);
CREATE INDEX usage_hourly_external_id_idx ON usage_hourly (workspace_id, external_id, at) WHERE external_id IS NOT NULL;
CREATE INDEX usage_hourly_at_idx ON usage_hourly (at);

CREATE TABLE usage_daily (
    workspace_id text COLLATE "C" NOT NULL,
    -- Start of the day, UTC.
    at timestamptz NOT NULL,
    series bytea NOT NULL CHECK (octet_length(series) = 32),
    api_id text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    external_id text COLLATE "C",
    outcome text COLLATE "C" NOT NULL,
    tags text[] NOT NULL,
    count bigint NOT NULL,
    credits_spent bigint NOT NULL,
    PRIMARY KEY (workspace_id, at, series)
) WITH (fillfactor = 70);
CREATE INDEX usage_daily_key_id_idx ON usage_daily (key_id, at);
CREATE INDEX usage_daily_external_id_idx ON usage_daily (workspace_id, external_id, at) WHERE external_id IS NOT NULL;
CREATE INDEX usage_daily_at_idx ON usage_daily (at);

-- Each process writes its events in numbered batches, one after the other, and notes the number in the transaction of the
-- batch: a batch whose answer was lost is known to be in or not to be in.
CREATE TABLE event_writers (
    id text COLLATE "C" PRIMARY KEY,
    batch bigint NOT NULL,
    -- When, by the database's clock.
    at timestamptz NOT NULL
);
