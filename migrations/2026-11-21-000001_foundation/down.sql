DROP TABLE audit_log;
DROP TABLE sealed_keys;
DROP TABLE keys;
DROP TABLE apis;
DROP TABLE root_keys;
DROP TABLE workspaces;
