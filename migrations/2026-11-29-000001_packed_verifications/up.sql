-- Verifications that are alike but for their moment (one key, one outcome, the same tags, one hour, one batch) share a row: most
-- of what a row costs is what they have in common. Rows that were written before, or by a node of the version before, are of one
-- verification, as are those of keys that are used once in a while: their arrays are NULL. `at` and `request_id` are those of the
-- first, `credits_spent` is the sum.
ALTER TABLE verifications
    -- Each one's moment.
    ADD COLUMN times timestamptz[],
    -- Each one's request.
    ADD COLUMN request_ids text[],
    -- What each one spent; NULL if none spent any.
    ADD COLUMN credits bigint[];
-- Compressing what hardly compresses would cost more than writing it.
ALTER TABLE verifications
    ALTER COLUMN times SET STORAGE EXTERNAL,
    ALTER COLUMN request_ids SET STORAGE EXTERNAL,
    ALTER COLUMN credits SET STORAGE EXTERNAL;

-- Storage is a matter of each partition.
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'verifications'::regclass LOOP
        EXECUTE format(
            'ALTER TABLE %s ALTER COLUMN times SET STORAGE EXTERNAL, ALTER COLUMN request_ids SET STORAGE EXTERNAL, '
            'ALTER COLUMN credits SET STORAGE EXTERNAL',
            partition
        );
    END LOOP;
END
$$;

-- One row for each verification, for whoever reads them by SQL.
CREATE VIEW verification_events AS
SELECT
    each.at,
    v.workspace_id,
    v.api_id,
    v.key_id,
    v.identity_id,
    v.external_id,
    v.outcome,
    v.tags,
    coalesce(each.credits_spent, 0) AS credits_spent,
    each.request_id
FROM
    verifications v
    CROSS JOIN LATERAL unnest(
        coalesce(v.times, ARRAY[v.at]),
        coalesce(v.request_ids, ARRAY[v.request_id]),
        coalesce(v.credits, ARRAY[v.credits_spent])
    ) AS each (at, request_id, credits_spent);
