DROP VIEW verification_events;
INSERT INTO verifications (at, workspace_id, api_id, key_id, identity_id, external_id, outcome, tags, credits_spent, request_id)
SELECT
    each.at, v.workspace_id, v.api_id, v.key_id, v.identity_id, v.external_id, v.outcome, v.tags,
    coalesce(each.credits_spent, 0), each.request_id
FROM
    verifications v
    CROSS JOIN LATERAL unnest(v.times, v.request_ids, v.credits) AS each (at, request_id, credits_spent)
WHERE v.times IS NOT NULL;
DELETE FROM verifications WHERE times IS NOT NULL;
ALTER TABLE verifications DROP COLUMN times, DROP COLUMN request_ids, DROP COLUMN credits;
