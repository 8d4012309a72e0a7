-- Runs on a simulated slot say nothing of an image: no question counts them unless it asks for them.
ALTER TABLE run ADD COLUMN simulated INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_simulated ON run (id) WHERE simulated;
-- The id of the run that an imported document was made from; NULL when it names none.
ALTER TABLE run ADD COLUMN copy_of TEXT;
CREATE INDEX run_copy_of ON run (copy_of) WHERE copy_of IS NOT NULL;
-- Tests that have ids of their own (KCIDB), by which a report that grew is told from another one.
CREATE TABLE foreign_test (
  run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  ident TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  PRIMARY KEY (run, ident)
) WITHOUT ROWID;
