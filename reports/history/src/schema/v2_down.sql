DROP TRIGGER attempt_out;
DROP TRIGGER attempt_changed;
DROP TABLE by_slot;
DROP TABLE by_image;
