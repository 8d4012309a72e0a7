-- How many attempts ended how: questions over all times read these and not a million rows. What is
-- written is added by the writer (src/store.rs), run by run; what is deleted or edited, by triggers.
CREATE TABLE by_slot (
  kase INTEGER NOT NULL, board INTEGER NOT NULL, slot INTEGER NOT NULL,
  pass INTEGER NOT NULL DEFAULT 0, fail INTEGER NOT NULL DEFAULT 0, skip INTEGER NOT NULL DEFAULT 0, blocked INTEGER NOT NULL DEFAULT 0, error INTEGER NOT NULL DEFAULT 0, infra INTEGER NOT NULL DEFAULT 0, undetermined INTEGER NOT NULL DEFAULT 0, cut_off INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (kase, board, slot)
) WITHOUT ROWID;
CREATE TABLE by_image (
  kase INTEGER NOT NULL, board INTEGER NOT NULL, image INTEGER NOT NULL,
  pass INTEGER NOT NULL DEFAULT 0, fail INTEGER NOT NULL DEFAULT 0, skip INTEGER NOT NULL DEFAULT 0, blocked INTEGER NOT NULL DEFAULT 0, error INTEGER NOT NULL DEFAULT 0, infra INTEGER NOT NULL DEFAULT 0, undetermined INTEGER NOT NULL DEFAULT 0, cut_off INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (kase, board, image)
) WITHOUT ROWID;
CREATE INDEX by_image_image ON by_image (image);
CREATE TRIGGER attempt_out AFTER DELETE ON attempt BEGIN
  UPDATE by_slot SET pass = pass - (OLD.outcome = 0), fail = fail - (OLD.outcome = 1), skip = skip - (OLD.outcome = 2), blocked = blocked - (OLD.outcome = 3), error = error - (OLD.outcome = 4), infra = infra - (OLD.outcome = 5), undetermined = undetermined - (OLD.outcome = 6), cut_off = cut_off - (OLD.outcome = 7)
  WHERE kase = OLD.kase AND board = OLD.board AND slot = OLD.slot;
  UPDATE by_image SET pass = pass - (OLD.outcome = 0), fail = fail - (OLD.outcome = 1), skip = skip - (OLD.outcome = 2), blocked = blocked - (OLD.outcome = 3), error = error - (OLD.outcome = 4), infra = infra - (OLD.outcome = 5), undetermined = undetermined - (OLD.outcome = 6), cut_off = cut_off - (OLD.outcome = 7)
  WHERE kase = OLD.kase AND board = OLD.board AND image = OLD.image;
END;
CREATE TRIGGER attempt_changed AFTER UPDATE ON attempt BEGIN
  UPDATE by_slot SET pass = pass - (OLD.outcome = 0), fail = fail - (OLD.outcome = 1), skip = skip - (OLD.outcome = 2), blocked = blocked - (OLD.outcome = 3), error = error - (OLD.outcome = 4), infra = infra - (OLD.outcome = 5), undetermined = undetermined - (OLD.outcome = 6), cut_off = cut_off - (OLD.outcome = 7)
  WHERE kase = OLD.kase AND board = OLD.board AND slot = OLD.slot;
  UPDATE by_image SET pass = pass - (OLD.outcome = 0), fail = fail - (OLD.outcome = 1), skip = skip - (OLD.outcome = 2), blocked = blocked - (OLD.outcome = 3), error = error - (OLD.outcome = 4), infra = infra - (OLD.outcome = 5), undetermined = undetermined - (OLD.outcome = 6), cut_off = cut_off - (OLD.outcome = 7)
  WHERE kase = OLD.kase AND board = OLD.board AND image = OLD.image;
  INSERT INTO by_slot (kase, board, slot, pass, fail, skip, blocked, error, infra, undetermined, cut_off)
  VALUES (NEW.kase, NEW.board, NEW.slot, NEW.outcome = 0, NEW.outcome = 1, NEW.outcome = 2, NEW.outcome = 3, NEW.outcome = 4, NEW.outcome = 5, NEW.outcome = 6, NEW.outcome = 7)
  ON CONFLICT DO UPDATE SET pass = pass + (NEW.outcome = 0), fail = fail + (NEW.outcome = 1), skip = skip + (NEW.outcome = 2), blocked = blocked + (NEW.outcome = 3), error = error + (NEW.outcome = 4), infra = infra + (NEW.outcome = 5), undetermined = undetermined + (NEW.outcome = 6), cut_off = cut_off + (NEW.outcome = 7);
  INSERT INTO by_image (kase, board, image, pass, fail, skip, blocked, error, infra, undetermined, cut_off)
  VALUES (NEW.kase, NEW.board, NEW.image, NEW.outcome = 0, NEW.outcome = 1, NEW.outcome = 2, NEW.outcome = 3, NEW.outcome = 4, NEW.outcome = 5, NEW.outcome = 6, NEW.outcome = 7)
  ON CONFLICT DO UPDATE SET pass = pass + (NEW.outcome = 0), fail = fail + (NEW.outcome = 1), skip = skip + (NEW.outcome = 2), blocked = blocked + (NEW.outcome = 3), error = error + (NEW.outcome = 4), infra = infra + (NEW.outcome = 5), undetermined = undetermined + (NEW.outcome = 6), cut_off = cut_off + (NEW.outcome = 7);
END;
INSERT INTO by_slot SELECT kase, board, slot, sum(outcome = 0), sum(outcome = 1), sum(outcome = 2), sum(outcome = 3), sum(outcome = 4), sum(outcome = 5), sum(outcome = 6), sum(outcome = 7) FROM attempt GROUP BY 1, 2, 3;
INSERT INTO by_image SELECT kase, board, image, sum(outcome = 0), sum(outcome = 1), sum(outcome = 2), sum(outcome = 3), sum(outcome = 4), sum(outcome = 5), sum(outcome = 6), sum(outcome = 7) FROM attempt GROUP BY 1, 2, 3;
