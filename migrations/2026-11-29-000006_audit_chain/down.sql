DROP TABLE audit_heads;
CREATE INDEX audit_log_workspace_id_idx ON audit_log (workspace_id, id);
DROP INDEX audit_log_resources_idx;
DROP INDEX audit_log_at_idx;
DROP INDEX audit_log_actor_id_idx;
DROP INDEX audit_log_event_idx;
DROP INDEX audit_log_unsealed_idx;
ALTER TABLE audit_log
    DROP CONSTRAINT audit_log_workspace_id_sequence_key,
    DROP CONSTRAINT audit_log_sealed_check,
    DROP COLUMN changes,
    DROP COLUMN hash,
    DROP COLUMN sequence;
