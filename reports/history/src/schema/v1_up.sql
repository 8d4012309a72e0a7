CREATE TABLE board (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE slot (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- `now` is the row of the case's present name; its own for a case that was never renamed.
CREATE TABLE kase (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, now INTEGER NOT NULL);
CREATE TABLE metric (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE image (
  id INTEGER PRIMARY KEY,
  payload TEXT NOT NULL UNIQUE,      -- hash of the decompressed image, 64 hex digits
  file TEXT NOT NULL,                -- hash of the file as it lay
  path TEXT NOT NULL,
  os TEXT, version TEXT
);
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  board INTEGER NOT NULL REFERENCES board, slot INTEGER NOT NULL REFERENCES slot,
  image INTEGER NOT NULL REFERENCES image,
  profile TEXT NOT NULL, selection TEXT NOT NULL, command TEXT NOT NULL, harness TEXT NOT NULL,
  suites TEXT NOT NULL, descriptor TEXT NOT NULL, profile_hash TEXT NOT NULL,
  started INTEGER NOT NULL,          -- ms since 1970
  took INTEGER,                      -- ms; NULL when the journal has no end
  exit INTEGER, verdict TEXT NOT NULL,
  source TEXT NOT NULL,              -- journal, junit, kcidb
  journal TEXT NOT NULL,             -- path; empty when there is none
  head TEXT NOT NULL                 -- hash of the journal's last line; empty when there is none
);
CREATE INDEX run_started ON run (started);
CREATE INDEX run_image ON run (image);
CREATE TABLE attempt (
  run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,          -- its place in the run, from 0
  kase INTEGER NOT NULL REFERENCES kase,
  board INTEGER NOT NULL, slot INTEGER NOT NULL, image INTEGER NOT NULL,
  number INTEGER NOT NULL,
  outcome INTEGER NOT NULL,          -- src/word.rs
  blame INTEGER,
  at INTEGER NOT NULL,               -- ms since 1970
  took INTEGER NOT NULL,             -- ms
  because TEXT, note TEXT,
  PRIMARY KEY (run, ordinal)
) WITHOUT ROWID;
CREATE INDEX attempt_kase ON attempt (kase, at);
CREATE INDEX attempt_at ON attempt (at);
-- Stages are measures whose context is what started the boot; a case's have its id as context.
CREATE TABLE measure (
  run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  ordinal INTEGER,                   -- the attempt's; NULL for the run's own
  metric INTEGER NOT NULL REFERENCES metric,
  context TEXT NOT NULL,
  board INTEGER NOT NULL, slot INTEGER NOT NULL, image INTEGER NOT NULL,
  at INTEGER NOT NULL,
  value REAL NOT NULL, unit TEXT NOT NULL, higher INTEGER NOT NULL
);
CREATE INDEX measure_metric ON measure (metric, board, at);
CREATE INDEX measure_image ON measure (image, metric);
CREATE INDEX measure_run ON measure (run);
