-- Lines of the kernel that complain, with their numbers taken out (src/kernel.rs).
CREATE TABLE complaint (id INTEGER PRIMARY KEY, line TEXT NOT NULL UNIQUE);
CREATE TABLE complained (
  run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  complaint INTEGER NOT NULL REFERENCES complaint,
  sample TEXT NOT NULL,              -- one of them as it stood
  times INTEGER NOT NULL,
  PRIMARY KEY (run, complaint)
) WITHOUT ROWID;
ALTER TABLE run ADD COLUMN kernel_heard INTEGER NOT NULL DEFAULT 0;
