-- How often the whole program went away while this run was in work: killed, out of memory, out of power. Counted apart
-- from starts, since it says little about the photo, which is read in a process of its own.
ALTER TABLE photo_run ADD COLUMN orphaned INTEGER NOT NULL DEFAULT 0 CHECK (orphaned >= 0);
