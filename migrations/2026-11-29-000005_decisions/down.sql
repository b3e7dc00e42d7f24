DROP TABLE decision_requests;
DROP TABLE decisions;
