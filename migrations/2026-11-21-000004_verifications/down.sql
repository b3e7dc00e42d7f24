DROP TABLE event_writers;
DROP TABLE usage_daily;
DROP TABLE usage_hourly;
DROP TABLE verifications;
