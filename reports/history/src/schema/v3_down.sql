DROP TABLE complained;
DROP TABLE complaint;
ALTER TABLE run DROP COLUMN kernel_heard;
