DROP TABLE nodes;
DROP TABLE counters;
DROP TABLE overrides;
DROP TABLE namespaces;
DROP TABLE rate_limits;
DROP TABLE credits;
