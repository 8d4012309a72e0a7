DROP TABLE foreign_test;
DROP INDEX run_copy_of;
ALTER TABLE run DROP COLUMN copy_of;
DROP INDEX run_simulated;
ALTER TABLE run DROP COLUMN simulated;
